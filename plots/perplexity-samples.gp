# Perplexity against the number of calibration segments, a line for each method and calibration text. Over
# several seeds: the mean, and their range as the bar.
#
#size 900, 330 * ((titles_count + 2) / 3) + 48 + 20 * key_lines(lines_count + 1, max(lines_longest, 14)) + 18 * (missing_count > 0)
#need no method with two numbers of calibration segments: `bitbench run experiments/sweep-calibration.yaml` measures some
#list titles: SELECT title FROM sweep_perplexities WHERE experiment = :experiment AND sweep = 'samples' GROUP BY panel ORDER BY panel
#list lines: SELECT name FROM sweep_lines WHERE experiment = :experiment AND sweep = 'samples' GROUP BY number ORDER BY number
#list line_methods: SELECT method FROM sweep_lines WHERE experiment = :experiment AND sweep = 'samples' GROUP BY number ORDER BY number
#list variants: SELECT variant FROM sweep_lines WHERE experiment = :experiment AND sweep = 'samples' GROUP BY number ORDER BY number
#sql points: SELECT dense_rank() OVER (ORDER BY panel), number, x, value, low, high, points, marked FROM sweep_perplexities
#+ WHERE experiment = :experiment AND sweep = 'samples' ORDER BY panel, number, x
#sql base?: SELECT (SELECT count(DISTINCT o.panel) FROM sweep_perplexities o WHERE o.experiment = p.experiment
#+ AND o.sweep = 'samples' AND o.panel <= p.panel), min(value) FROM perplexities p WHERE experiment = :experiment AND method = 'full'
#+ GROUP BY panel
#list missing?: SELECT label FROM unmeasured WHERE experiment = :experiment ORDER BY position

sweep_label = 'calibration segments'
sweep_x(x) = x
sweep_ticks = 'set xtics (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)'
load 'sweep-panels.gp'
