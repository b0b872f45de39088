# Perplexity against stored bits, one panel for each corpus, on logarithmic axes that hold every point.
#
#size 900, 90 + 340 * ((panels_count + 2) / 3)
#list panels: SELECT m.dataset || m.split || m.window || m.data_hash FROM experiment_rows r
#+ JOIN metrics m ON m.point_id = r.id WHERE r.experiment = :experiment AND m.kind = 'perplexity'
#+ AND m.value > 0 AND r.stored_bits > 0 AND r.weights > 0 GROUP BY 1 ORDER BY min(m.id)
#list titles: SELECT m.dataset || ', ' || m.split || ' split, windows of ' || m.window FROM experiment_rows r
#+ JOIN metrics m ON m.point_id = r.id WHERE r.experiment = :experiment AND m.kind = 'perplexity'
#+ AND m.value > 0 AND r.stored_bits > 0 AND r.weights > 0
#+ GROUP BY m.dataset || m.split || m.window || m.data_hash ORDER BY min(m.id)
#list methods: SELECT method FROM experiment_rows WHERE experiment = :experiment AND method <> 'full'
#+ AND status = 'done' GROUP BY method ORDER BY min(position)
#sql points: SELECT m.dataset || m.split || m.window || m.data_hash, r.method, r.stored_bits, m.value, ifnull(m.low, m.value),
#+ ifnull(m.high, m.value)
#+ FROM experiment_rows r JOIN metrics m ON m.point_id = r.id WHERE r.experiment = :experiment
#+ AND m.kind = 'perplexity' AND r.weights > 0 AND r.stored_bits > 0 AND m.value > 0 ORDER BY r.position
#sql base?: SELECT m.dataset || m.split || m.window || m.data_hash, m.value, ifnull(m.low, m.value),
#+ ifnull(m.high, m.value) FROM experiment_rows r JOIN metrics m ON m.point_id = r.id
#+ WHERE r.experiment = :experiment AND m.kind = 'perplexity' AND r.method = 'full'
#sql front?: WITH p AS (SELECT m.dataset || m.split || m.window || m.data_hash AS panel, r.stored_bits AS bits, m.value
#+ FROM experiment_rows r JOIN metrics m ON m.point_id = r.id WHERE r.experiment = :experiment
#+ AND m.kind = 'perplexity' AND r.weights > 0 AND r.stored_bits > 0 AND m.value > 0
#+ AND (SELECT count(DISTINCT model_hash) FROM experiment_rows WHERE experiment = :experiment) = 1)
#+ SELECT DISTINCT a.panel, a.bits, a.value FROM p a WHERE NOT EXISTS (SELECT 1 FROM p b WHERE b.panel = a.panel
#+ AND b.bits <= a.bits AND b.value <= a.value AND (b.bits < a.bits OR b.value < a.value)) ORDER BY 1, 2

columns = min(panels_count, 3)
lines = (panels_count + columns - 1) / columns
key_height = 60.0 / (90 + 340 * ((panels_count + 2) / 3))

set multiplot
set logscale xy
set tics nomirror scale 0.5
set border 3
unset key

do for [i = 1:panels_count] {
    column = (i - 1) % columns
    line = (i - 1) / columns
    cell_width = 1.0 / columns
    cell_height = (1.0 - key_height) / lines
    set lmargin at screen column * cell_width + 68.0 / 900
    set rmargin at screen (column + 1) * cell_width - 8.0 / 900
    set tmargin at screen 1.0 - line * cell_height - 0.1 * cell_height
    set bmargin at screen 1.0 - (line + 1) * cell_height + 0.16 * cell_height

    here(key) = key eq panels[i]
    set xrange [*:*] # of the panel before: they would hide points from stats
    set yrange [*:*]
    stats $points using (here(strcol(1)) ? $4 : NaN) nooutput name 'Y'
    stats $points using (here(strcol(1)) ? $3 : NaN) nooutput name 'X'
    base = NaN
    base_low = NaN
    base_high = NaN
    if (base_rows > 0) {
        stats $base using (here(strcol(1)) ? $2 : NaN) nooutput name 'B'
        if (exists('B_records')) { # stats leaves it undefined when it finds nothing
            base = B_min
            stats $base using (here(strcol(1)) ? $3 : NaN) nooutput name 'B'
            base_low = B_min
            stats $base using (here(strcol(1)) ? $4 : NaN) nooutput name 'B'
            base_high = B_max
        }
    }
    lowest = base == base ? min(base, Y_min) : Y_min
    bottom = lowest / (Y_max / lowest) ** 0.08 / 1.08
    top = Y_max * (Y_max / lowest) ** 0.05 * 1.12
    set yrange [bottom:top]
    middle = sqrt(X_min * X_max)
    set xrange [min(X_min / 1.12, middle / 1.4):max(X_max * 1.15, middle * 1.4)]

    unset xtics
    unset ytics
    set xtics (0.5, 1, 1.5, 2, 3, 4, 6, 8, 16) nomirror
    set ytics () nomirror
    set grid xtics ytics back linetype 1 dashtype solid linecolor rgb grid_colour linewidth 0.6
    span = top / bottom
    steps = span < 5 ? '1 1.2 1.5 2 2.5 3 4 5 6 8' : span < 100 ? '1 2 3 5' : span < 1e4 ? '1 3' : '1'
    do for [k = 0:9] {
        do for [m in steps] {
            set ytics add (sprintf('%g', real(m) * 10.0 ** k) real(m) * 10.0 ** k)
        }
    }
    set title titles[i] noenhanced offset 0, -0.6
    set xlabel 'stored bits per weight' offset 0, 0.4
    if (column == 0) {
        set label 1 'perplexity' at screen 12.0 / 900, graph 0.5 center rotate by 90
    } else {
        unset label 1
    }
    unset object
    if (base == base) {
        set object 1 rectangle from graph 0, first base_low to graph 1, first base_high behind \
            fillcolor rgb 0xE6E6E6 fillstyle solid noborder
        set arrow 1 from graph 0, first base to graph 1, first base nohead dashtype 2 linewidth 1.2 \
            linecolor rgb method_colour('full') back
    }
    plot $front using (here(strcol(1)) ? $2 : NaN):3 with steps linewidth 1.2 linecolor rgb 0xAAAAAA, \
         for [k = 1:methods_count] $points \
            using (here(strcol(1)) && strcol(2) eq methods[k] ? $3 : NaN):4:5:6 with yerrorbars \
            pointtype method_shape(methods[k]) pointsize mark_size linecolor rgb method_colour(methods[k])
    unset arrow
}

# The key, in a strip of its own.
set lmargin at screen 0.02
set rmargin at screen 0.98
set bmargin at screen 0
set tmargin at screen key_height
unset logscale
unset title
unset xlabel
unset label
unset tics
unset border
unset object
set xrange [0:1]
set yrange [0:1]
set key at screen 0.5, screen key_height * 0.5 center center horizontal Left reverse noenhanced samplen 2 width 3
plot for [k = 1:methods_count] NaN with points pointtype method_shape(methods[k]) pointsize mark_size \
        linecolor rgb method_colour(methods[k]) title methods[k], \
     NaN with lines dashtype 2 linewidth 1.2 linecolor rgb method_colour('full') title 'full precision', \
     NaN with lines linewidth 1.2 linecolor rgb 0xAAAAAA title 'Pareto front', \
     NaN with boxes fillstyle solid noborder fillcolor rgb 0xE6E6E6 title '95 % interval'
unset multiplot
