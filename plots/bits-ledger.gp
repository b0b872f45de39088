# Where the bits of each point go: everything that rebuilds the quantized weights, end to end, per quantized weight. The mark is
# the count by the formula of the method's paper. Beside it, the whole packed model's bits per parameter.
#
#size 900, 112 + 20 * rows_count + 18 * (marked_count > 0) + 18 * (missing_count > 0)
#need no quantized point: `bitbench run experiments/quickstart.yaml` measures some
#list rows: SELECT iif(EXISTS (SELECT 1 FROM exceptions x WHERE x.point_id = r.id), '° ', '') || r.full_label FROM named_rows r
#+ WHERE r.experiment = :experiment AND r.status = 'done' AND r.stored_bits > 0 AND r.weights > 0 ORDER BY r.position, r.id
#sql bars: WITH shown AS (SELECT r.*, row_number() OVER (ORDER BY r.position, r.id) AS place FROM experiment_rows r
#+ WHERE r.experiment = :experiment AND r.status = 'done' AND r.stored_bits > 0 AND r.weights > 0),
#+ sums AS (SELECT s.place, sum(l.bytes_payload) AS b1, sum(l.bytes_scales) AS b2, sum(l.bytes_zeros) AS b3,
#+ sum(l.bytes_masks) AS b4, sum(l.bytes_indices) AS b5, sum(l.bytes_salient) AS b6, sum(l.bytes_other) AS b7,
#+ sum(l.rows * l.columns) / 8.0 AS weights FROM shown s JOIN layers l ON l.point_id = s.id WHERE l.method <> '' GROUP BY s.place),
#+ parts AS (SELECT place, 1 AS part, b1 / weights AS bits FROM sums UNION ALL SELECT place, 2, b2 / weights FROM sums
#+ UNION ALL SELECT place, 3, b3 / weights FROM sums UNION ALL SELECT place, 4, b4 / weights FROM sums
#+ UNION ALL SELECT place, 5, b5 / weights FROM sums UNION ALL SELECT place, 6, b6 / weights FROM sums
#+ UNION ALL SELECT place, 7, b7 / weights FROM sums)
#+ SELECT part, place, sum(bits) OVER w - bits, sum(bits) OVER w FROM parts WINDOW w AS (PARTITION BY place ORDER BY part)
#sql totals: SELECT row_number() OVER (ORDER BY r.position, r.id), r.stored_bits, r.paper_bits, r.full_bits
#+ FROM experiment_rows r WHERE r.experiment = :experiment AND r.status = 'done' AND r.stored_bits > 0 AND r.weights > 0 ORDER BY 1
#list missing?: SELECT full_label FROM named_rows WHERE experiment = :experiment AND status <> 'done' ORDER BY position
#list marked?: SELECT r.label FROM experiment_rows r WHERE r.experiment = :experiment
#+ AND EXISTS (SELECT 1 FROM exceptions x WHERE x.point_id = r.id) ORDER BY r.position

load 'row-labels.gp'
array parts[7] = ['payload', 'scales', 'zeros', 'masks', 'indices', 'salient', 'other']
array part_colours[7] = [0x0072B2, 0xE69F00, 0xF0E442, 0x009E73, 0xCC79A7, 0xD55E00, 0x999999]
# Parts that no point has are left out of the key.
array used[7]
do for [k = 1:7] { used[k] = 0 }
stats $bars using (used[int($1)] = used[int($1)] + ($4 - $3), $4) nooutput name 'B'

array stored[rows_count]
array whole[rows_count]
stats $totals using (stored[int($1)] = $2, whole[int($1)] = $4, $2) nooutput

set lmargin at screen left
set rmargin at screen 1 - 120 / picture_width
set tmargin at screen 1 - 50 / picture_height
set bmargin at screen (56 + foot(marked_count, missing_count)) / picture_height
set border 3
stats $totals using (max($2, $3)) nooutput name 'T'
set xrange [0:T_max * 1.02]
set yrange [rows_count + 0.6:0.4]
eval row_ticks
set xtics nomirror
set grid xtics back linetype 1 dashtype solid linecolor rgb grid_colour linewidth 0.6
set xlabel 'bits per quantized weight'
set label 1 'stored' at screen 1 - 64 / picture_width, graph 1 offset 0, 0.7 right textcolor rgb 0x444444
set label 2 'model' at screen 1 - 10 / picture_width, graph 1 offset 0, 0.7 right textcolor rgb 0x444444
note_text = marked_count > 0 ? '° with exceptions' : ''
@notes
# Outside of the axes, where `with labels` does not go.
do for [i = 1:rows_count] {
    set label (5000 + 2 * i) sprintf('%.2f', stored[i]) at screen 1 - 64 / picture_width, first i right textcolor rgb 0x222222
    if (whole[i] == whole[i]) {
        set label (5001 + 2 * i) sprintf('%.2f', whole[i]) at screen 1 - 10 / picture_width, first i right textcolor rgb 0x222222
    }
}
unset key
set multiplot
plot for [k = 1:7] $bars using ($1 == k && $4 > $3 ? $3 : NaN):2:3:4:($2 - 0.36):($2 + 0.36) with boxxyerror \
        fillstyle solid 1.0 border linecolor rgb 0xFFFFFF fillcolor rgb part_colours[k], \
     $totals using 3:1 with points pointtype 13 pointsize 1.5 * mark_size linecolor rgb 0xFFFFFF, \
     $totals using 3:1 with points pointtype 12 pointsize 1.3 * mark_size linewidth 1.4 linecolor rgb 0x000000

key_top = 40
@key_strip_top
plot for [k = 1:7] NaN with boxes fillstyle solid noborder fillcolor rgb part_colours[k] title (used[k] > 0 ? parts[k] : ''), \
     NaN with points pointtype 12 pointsize 1.3 * mark_size linewidth 1.4 linecolor rgb 0x000000 title "paper's count"
unset multiplot
