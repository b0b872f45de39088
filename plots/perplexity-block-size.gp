# Perplexity against the number of columns that a method treats together, a line for each variant. The last place is the whole row.
#
#size 900, 330 * ((titles_count + 2) / 3) + 48 + 20 * key_lines(lines_count + 1, max(lines_longest, 14)) + 18 * (missing_count > 0)
#need no method with two block sizes: `bitbench run experiments/sweep-block-size.yaml` measures some
#list titles: SELECT title FROM sweep_perplexities WHERE experiment = :experiment AND sweep = 'block' GROUP BY panel ORDER BY panel
#list lines: SELECT name FROM sweep_lines WHERE experiment = :experiment AND sweep = 'block' GROUP BY number ORDER BY number
#list line_methods: SELECT method FROM sweep_lines WHERE experiment = :experiment AND sweep = 'block' GROUP BY number ORDER BY number
#list variants: SELECT variant FROM sweep_lines WHERE experiment = :experiment AND sweep = 'block' GROUP BY number ORDER BY number
#sql points: SELECT dense_rank() OVER (ORDER BY panel), number, x, value, low, high, points, marked FROM sweep_perplexities
#+ WHERE experiment = :experiment AND sweep = 'block' ORDER BY panel, number, x < 0, x
#sql base?: SELECT (SELECT count(DISTINCT o.panel) FROM sweep_perplexities o WHERE o.experiment = p.experiment
#+ AND o.sweep = 'block' AND o.panel <= p.panel), min(value) FROM perplexities p WHERE experiment = :experiment AND method = 'full'
#+ GROUP BY panel
#list missing?: SELECT label FROM unmeasured WHERE experiment = :experiment ORDER BY position

# The whole row (-1) stands behind the largest block.
stats $points using 3 nooutput name 'SIZE'
row_place = 2 * max(SIZE_max, 1)
sweep_label = 'block size (columns)'
sweep_x(x) = x < 0 ? row_place : x
sweep_ticks = 'set xtics (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096);' \
    . (SIZE_min < 0 ? 'set xtics add (sprintf("%g", row_place) row_place); set xtics add ("row" row_place)' : '')
load 'sweep-panels.gp'
