# For plots with a panel for each text: three a line at most, and below them a strip for the key and the notes. The script sets
# `strip` (pixels) and has the lists `titles` (a panel each) and `missing` (labels of points that are not shown).
# eval panel(i) makes room for panel i and titles it; eval key_strip makes room for the key.
columns = min(titles_count, 3)
panel_lines = (titles_count + columns - 1) / columns
panel_height = (picture_height - strip) / panel_lines
panel_column(i) = (i - 1) % columns
panel_letters = int((picture_width / columns - 40) / letter_width)
panel(i) = sprintf('set lmargin at screen %g; set rmargin at screen %g; set tmargin at screen %g; set bmargin at screen %g;', \
    panel_column(i) / real(columns) + 68 / picture_width, (panel_column(i) + 1) / real(columns) - 10 / picture_width, \
    1 - ((i - 1) / columns * panel_height + 32) / picture_height, 1 - (((i - 1) / columns + 1) * panel_height - 50) / picture_height) \
    . 'set title fit_tail(titles[' . i . '], panel_letters) noenhanced offset 0, -0.6;' \
    . (panel_column(i) == 0 ? 'set label 1 "perplexity" at screen 13 / picture_width, graph 0.5 center rotate by 90;' : 'unset label 1;')

# Ticks of a logarithmic axis from a to b: as many round numbers as it has room for.
round_numbers(a, b) = \
    b / a < 5 ? '1 1.2 1.5 2 2.5 3 4 5 6 8' : b / a < 16 ? '1 1.5 2 3 4 5 7' : b / a < 100 ? '1 2 3 5' : b / a < 1e4 ? '1 3' : '1'
# On a narrow axis they are a fixed step apart. Sets the ticks from the axis's bottom and top.
magnitude(x) = 10.0 ** floor(log10(x))
even_step(x) = magnitude(x) * (x / magnitude(x) < 1.5 ? 1 : x / magnitude(x) < 3.5 ? 2 : x / magnitude(x) < 7.5 ? 5 : 10)
log_ticks = 'set ytics () nomirror; if (top / bottom < 1.7) { step = even_step((top - bottom) / 5);' \
    . 'do for [k = ceil(bottom / step):floor(top / step)] { set ytics add (sprintf("%g", k * step) k * step) } } else {' \
    . 'do for [k = floor(log10(bottom)):ceil(log10(top))] { do for [m in round_numbers(bottom, top)] {' \
    . 'set ytics add (decade(real(m) * 10.0 ** k) real(m) * 10.0 ** k) } } }'
decade(y) = y >= 1e5 ? sprintf('%.0e', y) : sprintf('%g', y)

panel_body = 'set border 3; set tics nomirror scale 0.5; unset key;' \
    . 'set grid xtics ytics back linetype 1 dashtype solid linecolor rgb grid_colour linewidth 0.6;'

key_strip = 'unset logscale; unset title; unset xlabel; unset label; unset tics; unset border; unset object; unset arrow; unset grid;' \
    . 'set lmargin at screen 0.02; set rmargin at screen 0.98; set bmargin at screen 0; set tmargin at screen strip / picture_height;' \
    . 'set xrange [0:1]; set yrange [0:1];'
load 'notes.gp'
