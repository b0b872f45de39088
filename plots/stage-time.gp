# Where the time goes: one bar for each point, stages end to end.
#
#size 900, 102 + 20 * rows_count + 18 * (busy_count > 0) + 18 * (missing_count > 0)
#list rows: SELECT iif(r.id IN (SELECT point_id FROM repetitions GROUP BY 1 HAVING min(busy) = 1), '* ', '') || r.full_label
#+ FROM named_rows r WHERE r.experiment = :experiment AND r.status = 'done' AND EXISTS (SELECT 1 FROM stage_times t
#+ WHERE t.point_id = r.id) ORDER BY r.position, r.id
#list busy?: SELECT label FROM experiment_rows WHERE experiment = :experiment
#+ AND id IN (SELECT point_id FROM repetitions GROUP BY 1 HAVING min(busy) = 1)
#list missing?: SELECT full_label FROM named_rows WHERE experiment = :experiment AND status <> 'done' ORDER BY position
#need no timings
#list stages: SELECT stage FROM stage_times t JOIN experiment_rows r ON r.id = t.point_id WHERE r.experiment = :experiment
#+ AND stage <> 'total' GROUP BY stage HAVING max(wall) > 0 ORDER BY CASE stage WHEN 'load' THEN 0 WHEN 'calibrate' THEN 1
#+ WHEN 'quantize' THEN 2 WHEN 'diagnose' THEN 3 WHEN 'evaluate' THEN 4 ELSE 5 END, stage
#sql bars: WITH shown AS (SELECT r.id, row_number() OVER (ORDER BY r.position, r.id) AS place FROM experiment_rows r
#+ WHERE r.experiment = :experiment AND r.status = 'done' AND EXISTS (SELECT 1 FROM stage_times t WHERE t.point_id = r.id))
#+ SELECT t.stage, s.place, sum(t.wall) OVER w - t.wall, sum(t.wall) OVER w FROM shown s JOIN stage_times t
#+ ON t.point_id = s.id WHERE t.stage <> 'total' WINDOW w AS (PARTITION BY s.id ORDER BY CASE t.stage WHEN 'load' THEN 0
#+ WHEN 'calibrate' THEN 1 WHEN 'quantize' THEN 2 WHEN 'diagnose' THEN 3 WHEN 'evaluate' THEN 4 ELSE 5 END, t.stage)
#sql totals: WITH shown AS (SELECT r.id, row_number() OVER (ORDER BY r.position, r.id) AS place FROM experiment_rows r
#+ WHERE r.experiment = :experiment AND r.status = 'done' AND EXISTS (SELECT 1 FROM stage_times t WHERE t.point_id = r.id))
#+ SELECT s.place, sum(t.wall) FROM shown s JOIN stage_times t ON t.point_id = s.id WHERE t.stage <> 'total' GROUP BY s.id

load 'row-labels.gp'

# A stage keeps its colour whichever others are there.
stage_number(s) = s eq 'load' ? 1 : s eq 'calibrate' ? 2 : s eq 'quantize' ? 3 : s eq 'diagnose' ? 4 : s eq 'evaluate' ? 5 : 6
stats $totals using 2 nooutput name 'T'
set lmargin at screen left
set rmargin at screen 0.93
set tmargin at screen 1 - 44 / picture_height
note_text = busy_count > 0 ? '* measured while the machine had other work, too: no measure of the method' : ''
@notes
set bmargin at screen (44 + foot(busy_count, missing_count)) / picture_height
set border 3
# Few bars that are much longer than the others are cut.
bound = T_records > 4 && T_max > 4 * T_up_quartile ? 3 * T_up_quartile : T_max * 1.02
set xrange [0:bound]
set yrange [rows_count + 0.6:0.4]
eval row_ticks
set xtics nomirror
set grid xtics back linetype 1 dashtype solid linecolor rgb grid_colour linewidth 0.6
set xlabel 'seconds'
unset key
set multiplot

plot for [k = 1:stages_count] $bars using (strcol(1) eq stages[k] ? $3 : NaN):2:3:4:($2 - 0.36):($2 + 0.36) \
        with boxxyerror fillstyle solid 1.0 noborder linecolor rgb series_colour(stage_number(stages[k])), \
     $totals using (min($2, bound)):1:($2 > bound ? sprintf('→ %.1f', $2) : sprintf('%.1f', $2)) with labels left \
        offset 0.5, 0 textcolor rgb 0x444444

key_top = 36
@key_strip_top
plot for [k = 1:stages_count] NaN with boxes fillstyle solid noborder fillcolor rgb series_colour(stage_number(stages[k])) title stages[k]
unset multiplot
