# The panels of perplexity-bits and its like, on logarithmic axes that hold every point. The Pareto front is drawn through the
# points that no other one beats in both.
strip = 26 + 20 * key_lines(methods_count + 3, 16) + 18 * (marked_count > 0) + 18 * (missing_count > 0)
load 'panels.gp'


set multiplot
set logscale xy
@panel_body
set xlabel bits_label offset 0, 0.4
set style fill solid noborder

do for [i = 1:titles_count] {
    eval panel(i)
    set xrange [*:*] # of the panel before: they would hide points from stats
    set yrange [*:*]
    stats $points using ($1 == i ? $3 : NaN) nooutput name 'X'
    stats $points using ($1 == i ? $5 : NaN) nooutput name 'LOW'
    stats $points using ($1 == i ? $6 : NaN) nooutput name 'HIGH'
    lowest = LOW_min
    highest = HIGH_max
    base = 0
    if (base_rows > 0) { stats $base using ($1 == i ? (base = $2, base_low = $3, base_high = $4, $2) : NaN) nooutput name 'B' }
    if (base > 0) {
        lowest = min(lowest, base_low)
        highest = max(highest, base_high)
    }
    bottom = lowest / (highest / lowest) ** 0.06 / 1.03
    top = highest * (highest / lowest) ** 0.05 * 1.03
    set yrange [bottom:top]
    middle = sqrt(X_min * X_max)
    set xrange [min(X_min / 1.12, middle / 1.4):max(X_max * 1.12, middle * 1.4)]
    set xtics (0.1, 0.2, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 16, 32) nomirror
    eval log_ticks
    unset object
    unset arrow
    if (base > 0) {
        set object 1 rectangle from graph 0, first base_low to graph 1, first base_high behind \
            fillcolor rgb 0xE6E6E6 fillstyle solid noborder
        set arrow 1 from graph 0, first base to graph 1, first base nohead dashtype 2 linewidth 1.2 \
            linecolor rgb method_colour('full') back
    }
    plot $front using ($1 == i ? $2 : NaN):3 with steps linewidth 1.2 linecolor rgb 0x999999, \
         for [k = 1:methods_count] $points using ($1 == i && strcol(2) eq methods[k] ? $3 : NaN):4:5:6 with yerrorbars \
            pointtype method_shape(methods[k]) pointsize mark_size linecolor rgb method_colour(methods[k]), \
         $points using ($1 == i && $7 > 0 ? $3 : NaN):4 with points pointtype 6 pointsize 2.1 * mark_size linecolor rgb 0x000000
}

@key_strip
note_text = marked_count > 0 ? 'ringed: with exceptions' : ''
@notes
set key at screen 0.5, screen (strip - 8) / picture_height center top horizontal Left reverse noenhanced samplen 2 width 1 \
    maxcols key_columns(methods_count + 3, 16)
plot for [k = 1:methods_count] NaN with points pointtype method_shape(methods[k]) pointsize mark_size \
        linecolor rgb method_colour(methods[k]) title methods[k], \
     NaN with lines dashtype 2 linewidth 1.2 linecolor rgb method_colour('full') title (base_rows > 0 ? 'full precision' : ''), \
     NaN with lines linewidth 1.2 linecolor rgb 0x999999 title 'Pareto front', \
     NaN with boxes fillstyle solid noborder fillcolor rgb 0xE6E6E6 title (base_rows > 0 ? '95 % interval' : '')
unset multiplot
