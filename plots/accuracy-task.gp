# Accuracy on each task as bars, a row for each point and a panel for each task and scoring; whiskers are 95 % intervals. Chance
# is one over the number of different right answers.
#
#size 900, task_lines(tasks_count) * (86 + 19 * rows_count) + 24 + 18 * (missing_count > 0)
#need no accuracies: a spec with evaluation.tasks, such as experiments/quickstart.yaml, measures some
#list rows: SELECT iif(EXISTS (SELECT 1 FROM exceptions x WHERE x.point_id = r.id), '° ', '') || r.full_label FROM named_rows r
#+ WHERE r.experiment = :experiment AND EXISTS (SELECT 1 FROM metrics m WHERE m.point_id = r.id AND m.kind = 'accuracy')
#+ ORDER BY r.position, r.id
#list tasks: SELECT m.dataset || iif(m.split = 'test', '', ' ' || m.split) FROM experiment_rows r
#+ JOIN metrics m ON m.point_id = r.id WHERE r.experiment = :experiment AND m.kind = 'accuracy'
#+ GROUP BY m.dataset, m.split, m.rule, m.data_hash ORDER BY min(m.id)
#list rules: SELECT m.rule || ', n=' || m.count FROM experiment_rows r
#+ JOIN metrics m ON m.point_id = r.id WHERE r.experiment = :experiment AND m.kind = 'accuracy'
#+ GROUP BY m.dataset, m.split, m.rule, m.data_hash ORDER BY min(m.id)
#list methods: SELECT method FROM experiment_rows r WHERE experiment = :experiment
#+ AND EXISTS (SELECT 1 FROM metrics m WHERE m.point_id = r.id AND m.kind = 'accuracy') GROUP BY method ORDER BY min(position)
#sql bars: WITH shown AS (SELECT r.id, r.method, dense_rank() OVER (ORDER BY r.position, r.id) AS place, m.*,
#+ min(m.id) OVER (PARTITION BY m.dataset, m.split, m.rule, m.data_hash) AS first FROM experiment_rows r
#+ JOIN metrics m ON m.point_id = r.id WHERE r.experiment = :experiment AND m.kind = 'accuracy')
#+ SELECT dense_rank() OVER (ORDER BY first), place, method, 100 * value, 100 * ifnull(low, value), 100 * ifnull(high, value)
#+ FROM shown WHERE value IS NOT NULL ORDER BY 1, 2
#sql chances: WITH one AS (SELECT min(m.id) AS first FROM experiment_rows r JOIN metrics m ON m.point_id = r.id
#+ WHERE r.experiment = :experiment AND m.kind = 'accuracy' GROUP BY m.dataset, m.split, m.rule, m.data_hash)
#+ SELECT row_number() OVER (ORDER BY first), (SELECT iif(count(DISTINCT gold) > 1, 100.0 / count(DISTINCT gold), NULL)
#+ FROM items WHERE metric_id = first) FROM one ORDER BY 1
#list missing?: SELECT full_label FROM named_rows WHERE experiment = :experiment AND status <> 'done' ORDER BY position
#list marked?: SELECT r.label FROM experiment_rows r WHERE r.experiment = :experiment
#+ AND EXISTS (SELECT 1 FROM exceptions x WHERE x.point_id = r.id) ORDER BY r.position

load 'row-labels.gp'
line_height = 86.0 + 19 * rows_count
panel_width = (1 - left - 12 / picture_width) / task_columns(tasks_count)
letters = int((panel_width * picture_width - 8) / letter_width)

set multiplot
set border 1
set grid xtics back linetype 1 dashtype solid linecolor rgb grid_colour linewidth 0.6
unset key
set yrange [rows_count + 0.6:0.4]
set style fill solid 1.0 noborder
do for [i = 1:tasks_count] {
    c = (i - 1) % task_columns(tasks_count)
    l = (i - 1) / task_columns(tasks_count)
    set lmargin at screen left + c * panel_width
    set rmargin at screen left + (c + 1) * panel_width - 26 / picture_width
    set tmargin at screen 1 - (l * line_height + 42) / picture_height
    set bmargin at screen 1 - ((l + 1) * line_height - 44) / picture_height
    set label 1 fit_tail(tasks[i], letters) noenhanced at graph 0.5, graph 1 offset 0, 1.7 center
    set label 2 fit_head(rules[i], int((panel_width * picture_width - 8) / small_width)) noenhanced at graph 0.5, graph 1 offset 0, 0.6 center font ',' . small_font \
        textcolor rgb 0x666666
    if (c == 0) { eval row_ticks } else { do for [j = 1:rows_count] { unset label (1000 + j) } }
    set xrange [0:100]
    set xtics (0, 25, 50, 75, 100) nomirror scale 0.4
    if (i > tasks_count - task_columns(tasks_count)) { set xlabel 'accuracy (%)' offset 0, 0.4 } else { unset xlabel }
    plot for [k = 1:methods_count] $bars using ($1 == i && strcol(3) eq methods[k] ? 0 : NaN):2:(0):4:($2 - 0.36):($2 + 0.36) \
            with boxxyerror linecolor rgb bar_colour(methods[k]), \
         $bars using ($1 == i ? $4 : NaN):2:5:6 with xerrorbars pointtype -1 linewidth 1.1 linecolor rgb 0x333333, \
         $chances using ($1 == i ? $2 : NaN):(0.4):(0):(rows_count + 0.2) with vectors nohead dashtype 2 linewidth 1.4 \
            linecolor rgb 0x000000
}
unset title; unset xlabel; unset label; unset tics; unset border; unset arrow; unset grid
set lmargin at screen 0; set rmargin at screen 1; set bmargin at screen 0; set tmargin at screen 24 / picture_height
set xrange [0:1]
set yrange [0:1]
note_text = marked_count > 0 ? '° with exceptions' : ''
@notes
set key at screen 0.99, screen (12 + foot(0, missing_count)) / picture_height right center maxrows 1 \
    horizontal noenhanced Left reverse samplen 2.5 width 1
plot NaN with lines dashtype 2 linewidth 1.4 linecolor rgb 0x000000 title 'chance', \
     NaN with lines linewidth 1.1 linecolor rgb 0x333333 title '95 % interval'
unset multiplot
