# How far the hidden states behind each block are from the full model's, on the calibration stream: the relative distance
# |quantized - full| / |full| on the left, one minus the mean cosine on the right. A line for each point.
#
#size 900, 350 + 20 * key_lines(drift_named(lines_count) ? lines_count : methods_count, drift_named(lines_count) ? lines_longest : 16)
#+ + 18 * (marked_count > 0)
#need no drift of hidden states: points that were computed before it was measured need `bitbench run SPEC --rerun all`
#list lines: SELECT iif(EXISTS (SELECT 1 FROM exceptions x WHERE x.point_id = r.id), '° ', '') || r.full_label FROM named_rows r
#+ WHERE r.experiment = :experiment AND EXISTS (SELECT 1 FROM blocks b WHERE b.point_id = r.id AND b.drift > 0)
#+ ORDER BY r.position, r.id
#list line_methods: SELECT r.method FROM experiment_rows r WHERE r.experiment = :experiment
#+ AND EXISTS (SELECT 1 FROM blocks b WHERE b.point_id = r.id AND b.drift > 0) ORDER BY r.position, r.id
#list variants: SELECT row_number() OVER (PARTITION BY r.method ORDER BY r.position, r.id) - 1 FROM experiment_rows r
#+ WHERE r.experiment = :experiment AND EXISTS (SELECT 1 FROM blocks b WHERE b.point_id = r.id AND b.drift > 0)
#+ ORDER BY r.position, r.id
#list methods: SELECT r.method FROM experiment_rows r WHERE r.experiment = :experiment
#+ AND EXISTS (SELECT 1 FROM blocks b WHERE b.point_id = r.id AND b.drift > 0) GROUP BY r.method ORDER BY min(r.position)
#list marked?: SELECT label FROM experiment_rows r WHERE r.experiment = :experiment
#+ AND EXISTS (SELECT 1 FROM exceptions x WHERE x.point_id = r.id) LIMIT 1
#sql points: SELECT dense_rank() OVER (ORDER BY r.position, r.id), b.block, b.drift, iif(b.cosine < 1, 1 - b.cosine, NULL)
#+ FROM experiment_rows r JOIN blocks b ON b.point_id = r.id WHERE r.experiment = :experiment AND b.drift > 0
#+ AND EXISTS (SELECT 1 FROM blocks o WHERE o.point_id = r.id AND o.drift > 0) ORDER BY 1, 2

named = drift_named(lines_count)
entries = named ? lines_count : methods_count
strip = 24 + 20 * key_lines(entries, named ? lines_longest : 16) + 18 * (marked_count > 0)
array titles[2] = ['relative distance |quantized − full| / |full|', '1 − mean cosine']
titles_count = 2
missing_count = 0
load 'panels.gp'
load 'line-styles.gp'

set multiplot
@panel_body
set logscale y
stats $points using 2 nooutput name 'BLOCK'
set xrange [BLOCK_min - 0.25:BLOCK_max + 0.25]
set xtics BLOCK_max - BLOCK_min < 12 ? 1 : ceil((BLOCK_max - BLOCK_min) / 10.0)
set xlabel 'block' offset 0, 0.4
do for [i = 1:2] {
    eval panel(i)
    unset label 1
    set yrange [*:*]
    stats $points using i + 2 nooutput name 'Y'
    usable = exists('Y_records') && Y_records > 0
    set ytics () nomirror
    if (usable) {
        bottom = Y_min / (Y_max / Y_min) ** 0.05 / 1.03
        top = Y_max * (Y_max / Y_min) ** 0.05 * 1.03
        set yrange [bottom:top]
        eval log_ticks
        plot for [k = 1:lines_count] $points using ($1 == k ? $2 : 1/0):(column(i + 2)) with linespoints linewidth 1.4 \
            dashtype line_dash(k) pointtype line_shape(k) pointsize 0.8 * mark_size linecolor rgb line_colour(k)
    }
    undefine Y_*
}

unset logscale
@key_strip
note_text = named && marked_count > 0 ? '° with exceptions' : ''
@notes
set key at screen 0.5, screen (strip - 8) / picture_height center top horizontal Left reverse noenhanced samplen 4 width 1 \
    maxcols key_columns(entries, named ? lines_longest : 16)
if (named) {
    plot for [k = 1:lines_count] NaN with linespoints pointtype line_shape(k) pointsize mark_size linewidth 1.4 \
        dashtype line_dash(k) linecolor rgb line_colour(k) title lines[k]
} else {
    plot for [k = 1:methods_count] NaN with linespoints pointtype method_shape(methods[k]) pointsize mark_size linewidth 1.4 \
        linecolor rgb method_colour(methods[k]) title methods[k]
}
unset multiplot
