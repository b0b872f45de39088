# Perplexity along a swept setting: a panel for each text, a line for each method and variant. The script sets sweep_label,
# sweep_x(x) (a place on the logarithmic axis) and sweep_ticks (an eval); its blocks and lists are as in perplexity-salient.gp.
strip = 44 + 20 * key_lines(lines_count + 1, max(lines_longest, 14)) + 18 * (missing_count > 0)
load 'panels.gp'

load 'line-styles.gp'
sweep_joined = exists('sweep_joined') ? sweep_joined : 1
sweep_dodge = exists('sweep_dodge') ? sweep_dodge : 1.012
dodged(x, k) = sweep_x(x) * sweep_dodge ** (k - (lines_count + 1) / 2.0)

stats $points using 7 nooutput name 'SEEDS'
stats $points using 8 nooutput name 'MARKED'

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
    margin = sweep_joined ? (X_max / X_min) ** 0.07 * 1.03 : 2 ** 0.5
    set xrange [X_min / margin:X_max * margin]
    set xtics () nomirror
    eval sweep_ticks
    eval log_ticks
    unset arrow
    if (base > 0) {
        set arrow 1 from graph 0, first base to graph 1, first base nohead dashtype 2 linewidth 1.2 \
            linecolor rgb method_colour('full') back
    }
    plot for [k = 1:lines_count] $points using (sweep_joined && $1 == i && $2 == k ? dodged($3, k) : 1/0):4 with lines linewidth 1.4 \
            dashtype line_dash(k) linecolor rgb line_colour(k), \
         for [k = 1:lines_count] $points using ($1 == i && $2 == k ? dodged($3, k) : NaN):4:5:6 with yerrorbars \
            pointtype line_shape(k) pointsize mark_size linewidth 1 linecolor rgb line_colour(k), \
         for [k = 1:lines_count] $points using ($1 == i && $2 == k && $8 > 0 ? dodged($3, k) : NaN):4 with points \
            pointtype 6 pointsize 2.1 * mark_size linecolor rgb 0x000000
}

bars_note = SEEDS_max > 1 ? sprintf('bars: the range over %g seeds, around their mean', SEEDS_max) \
    . (SEEDS_min == 1 ? '; 95 % interval of single points' : '') \
    : 'bars: 95 % interval'
@key_strip
note_text = bars_note . (MARKED_max > 0 ? '; ringed: with exceptions' : '')
@notes
set key at screen 0.5, screen (strip - 8) / picture_height center top horizontal Left reverse noenhanced samplen 4 width 1 \
    maxcols key_columns(lines_count + 1, max(lines_longest, 14))
if (sweep_joined) {
    plot for [k = 1:lines_count] NaN with linespoints pointtype line_shape(k) pointsize mark_size linewidth 1.4 \
            dashtype line_dash(k) linecolor rgb line_colour(k) title lines[k], \
         NaN with lines dashtype 2 linewidth 1.2 linecolor rgb method_colour('full') title (base_rows > 0 ? 'full precision' : '')
} else {
    plot for [k = 1:lines_count] NaN with points pointtype line_shape(k) pointsize mark_size linecolor rgb line_colour(k) \
            title lines[k], \
         NaN with lines dashtype 2 linewidth 1.2 linecolor rgb method_colour('full') title (base_rows > 0 ? 'full precision' : '')
}
unset multiplot
