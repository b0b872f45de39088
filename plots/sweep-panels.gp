# Perplexity along a swept setting: a panel for each text, a line for each method and variant. The script sets sweep_label,
# sweep_x(x) (a place on the logarithmic axis) and sweep_ticks (an eval); its blocks and lists are as in perplexity-salient.gp.
strip = 26 + 18 * key_lines(lines_count + 1, max(lines_longest, 14)) + 18 * (missing_count > 0)
load 'panels.gp'

# A method's lines have its colour, in shades of it where there are many; marks are full and open, and dashes differ.
variant(k) = int(variants[k])
line_shape(k) = method_shape(line_methods[k]) - variant(k) % 2
line_dash(k) = variant(k) / 2 % 4 + 1
shade(part, v) = v == 0 ? part : v == 1 ? part * 0.55 : v == 2 ? 255 - (255 - part) * 0.6 : part * 0.25 + 40
mixed(c, v) = int(shade(c / 65536 % 256, v)) * 65536 + int(shade(c / 256 % 256, v)) * 256 + int(shade(c % 256, v))
line_colour(k) = mixed(method_colour(line_methods[k]), variant(k) / 2 % 4)
sweep_dodge = exists('sweep_dodge') ? sweep_dodge : 1.012
dodged(x, k) = sweep_x(x) * sweep_dodge ** (k - (lines_count + 1) / 2.0)

set multiplot
set logscale xy
@panel_body
set xlabel sweep_label offset 0, 0.4

do for [i = 1:titles_count] {
    eval panel(i)
    set xrange [*:*]
    set yrange [*:*]
    stats $points using ($1 == i ? sweep_x($3) : NaN) nooutput name 'X'
    stats $points using ($1 == i ? $5 : NaN) nooutput name 'LOW'
    stats $points using ($1 == i ? $6 : NaN) nooutput name 'HIGH'
    lowest = LOW_min
    highest = HIGH_max
    base = 0
    if (base_rows > 0) { stats $base using ($1 == i ? (base = $2, $2) : NaN) nooutput name 'B' }
    if (base > 0) { lowest = min(lowest, base) }
    bottom = lowest / (highest / lowest) ** 0.06 / 1.01
    top = highest * (highest / lowest) ** 0.05 * 1.01
    set yrange [bottom:top]
    set xrange [X_min / (X_max / X_min) ** 0.07 / 1.03:X_max * (X_max / X_min) ** 0.07 * 1.03]
    set xtics () nomirror
    eval sweep_ticks
    set ytics () nomirror
    do for [k = -1:9] {
        do for [m in round_numbers(bottom, top)] { set ytics add (decade(real(m) * 10.0 ** k) real(m) * 10.0 ** k) }
    }
    unset arrow
    if (base > 0) {
        set arrow 1 from graph 0, first base to graph 1, first base nohead dashtype 2 linewidth 1.2 \
            linecolor rgb method_colour('full') back
    }
    plot for [k = 1:lines_count] $points using ($1 == i && $2 == k ? dodged($3, k) : 1/0):4 with lines linewidth 1.4 \
            dashtype line_dash(k) linecolor rgb line_colour(k), \
         for [k = 1:lines_count] $points using ($1 == i && $2 == k ? dodged($3, k) : NaN):4:5:6 with yerrorbars \
            pointtype line_shape(k) pointsize mark_size linewidth 1 linecolor rgb line_colour(k), \
         for [k = 1:lines_count] $points using ($1 == i && $2 == k && $8 > 0 ? dodged($3, k) : NaN):4 with points \
            pointtype 6 pointsize 2.1 * mark_size linecolor rgb 0x000000
}

@key_strip
set label 2 fit_head(missing_note, 120) noenhanced at screen 12 / picture_width, screen 11 / picture_height font ',' . small_font \
    textcolor rgb 0x555555
set key at screen 0.5, screen (strip - 8) / picture_height center top horizontal Left reverse noenhanced samplen 4 width 3 \
    maxcols key_columns(lines_count + 1, max(lines_longest, 14))
plot for [k = 1:lines_count] NaN with linespoints pointtype line_shape(k) pointsize mark_size linewidth 1.4 dashtype line_dash(k) \
        linecolor rgb line_colour(k) title lines[k], \
     NaN with lines dashtype 2 linewidth 1.2 linecolor rgb method_colour('full') title 'full precision'
unset multiplot
