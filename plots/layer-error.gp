# The error of each layer as a map: a row for each point, a column for each layer, projections side by side and blocks within
# them. Colour: relative Hessian loss, tr((W - Wq) H (W - Wq)^T) / tr(W H W^T).
#
#size 900, 142 + 17 * rows_count + 18 * (marks_rows > 0) + 18 * (missing_count > 0)
#list rows: SELECT r.full_label FROM named_rows r WHERE r.experiment = :experiment AND EXISTS (SELECT 1 FROM layers l
#+ WHERE l.point_id = r.id AND l.relative_loss > 0) ORDER BY r.position, r.id
#list missing?: SELECT full_label FROM named_rows WHERE experiment = :experiment AND status <> 'done' ORDER BY position
#sql marks?: WITH shown AS (SELECT r.id, row_number() OVER (ORDER BY r.position, r.id) AS place FROM experiment_rows r
#+ WHERE r.experiment = :experiment AND EXISTS (SELECT 1 FROM layers l WHERE l.point_id = r.id AND l.relative_loss > 0))
#+ SELECT x.name, x.block, s.place FROM shown s JOIN exceptions x ON x.point_id = s.id WHERE x.block >= 0
#+ AND x.name IN (SELECT name FROM layers)
#need no layer errors: methods that need no calibration measure them with layer_errors=true
#list projections: SELECT name FROM layers l JOIN experiment_rows r ON r.id = l.point_id WHERE r.experiment = :experiment
#+ GROUP BY name ORDER BY CASE
#+ WHEN name LIKE '%q_proj' THEN 0 WHEN name LIKE '%k_proj' THEN 1 WHEN name LIKE '%v_proj' THEN 2
#+ WHEN name LIKE '%o_proj' OR name LIKE '%out_proj' THEN 3 WHEN name LIKE '%gate_proj' THEN 4
#+ WHEN name LIKE '%up_proj' OR name LIKE '%fc1' THEN 5 ELSE 6 END, name
#sql cells: WITH shown AS (SELECT r.id, row_number() OVER (ORDER BY r.position, r.id) AS place FROM experiment_rows r
#+ WHERE r.experiment = :experiment AND EXISTS (SELECT 1 FROM layers l WHERE l.point_id = r.id AND l.relative_loss > 0))
#+ SELECT l.name, l.block, s.place, log10(l.relative_loss) FROM shown s JOIN layers l ON l.point_id = s.id
#+ WHERE l.relative_loss > 0

stats $cells using 2 nooutput name 'BLOCK'
stats $cells using 4 nooutput name 'LOSS'
blocks = int(BLOCK_max) + 1
gap = max(0.5, blocks / 10.0) # between projections
step = blocks + gap

array offsets[projections_count]
do for [i = 1:projections_count] { offsets[i] = (i - 1) * step }
place(name) = (found = 0, sum [i = 1:projections_count] (projections[i] eq name ? offsets[i] : 0))

load 'row-labels.gp'

set lmargin at screen left
set rmargin at screen 0.985
set tmargin at screen 1 - 62 / picture_height
note_text = marks_rows > 0 ? 'crossed: exceptions' : ''
@notes
low = foot(marks_rows, missing_count)
set bmargin at screen (66 + low) / picture_height
unset key
set border 0
set tics scale 0
unset grid
set xrange [-0.5:projections_count * step - gap - 0.5]
set yrange [rows_count + 0.5:0.5]
set label 4 'relative error of each layer, tr((W − Wq) H (W − Wq)ᵀ) / tr(W H Wᵀ)' noenhanced \
    at screen 0.5, screen 1 - 14 / picture_height center
eval row_ticks

# Below each projection its name without the folder ("q_proj"); blocks are counted above.
tail(name) = strstrt(name, '.') ? name[strstrt(name, '.') + 1:] : name
unset xtics
do for [i = 1:projections_count] {
    set label (2000 + i) fit_head(tail(projections[i]), int((1 - left) * picture_width / projections_count / letter_width) + 1) \
        noenhanced at first offsets[i] + (blocks - 1) / 2.0, graph 0 offset 0, -1 center
}
every = max(1, int(blocks / 6.0 + 0.5))
set x2range [-0.5:projections_count * step - gap - 0.5]
set x2tics () offset 0, -0.4
do for [i = 1:projections_count] {
    do for [b = 0:blocks - 1:every] { set x2tics add (sprintf('%d', b) offsets[i] + b) }
}
set x2tics textcolor rgb 0x666666 font ',' . small_font
set label 1 'block' at screen left - 6.0 / picture_width, screen 1 - 50 / picture_height right textcolor rgb 0x666666 font ',' . small_font

# Perceptually even and the same for the colour-blind: viridis, light for small errors.
set palette defined (0 '#fde725', 1 '#b5de2b', 2 '#6ece58', 3 '#35b779', 4 '#1f9e89', 5 '#26828e', 6 '#31688e', \
                     7 '#3e4989', 8 '#482878', 9 '#440154')
from = floor(LOSS_min)
to = max(from + 1, ceil(LOSS_max))
set cbrange [from:to]
set colorbox horizontal user origin screen left, screen (18 + low) / picture_height size screen 0.985 - left, screen 10 / picture_height
set cbtics scale 0.4 offset 0, 0.5 ()
do for [k = from:to] { set cbtics add (sprintf('%g', 10.0 ** k) k) }

plot $cells using (place(strcol(1)) + $2):3:(place(strcol(1)) + $2 - 0.5):(place(strcol(1)) + $2 + 0.5): \
        ($3 - 0.46):($3 + 0.46):4 with boxxyerror fillstyle solid noborder linecolor palette, \
     $marks using (place(strcol(1)) + $2):3 with points pointtype 2 pointsize 0.7 * mark_size linecolor rgb 0xFFFFFF linewidth 2.6, \
     $marks using (place(strcol(1)) + $2):3 with points pointtype 2 pointsize 0.7 * mark_size linecolor rgb 0x000000 linewidth 1.2
