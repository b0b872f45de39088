# Lines of several variants of a method: its colour, in shades of it where there are many; marks are full and open, and dashes
# differ. From the lists line_methods and variants, which counts a method's lines from 0.
variant(k) = int(variants[k])
line_shape(k) = method_shape(line_methods[k]) - variant(k) % 2
line_dash(k) = variant(k) / 2 % 4 + 1
shade(part, v) = v == 0 ? part : v == 1 ? part * 0.55 : v == 2 ? 255 - (255 - part) * 0.6 : part * 0.25 + 40
mixed(c, v) = int(shade(c / 65536 % 256, v)) * 65536 + int(shade(c / 256 % 256, v)) * 256 + int(shade(c % 256, v))
line_colour(k) = mixed(method_colour(line_methods[k]), variant(k) / 2 % 4)
