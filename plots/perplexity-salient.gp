# Perplexity against the share of salient weights, a line for each variant of a method. BiLLM's share is what its search found.
#
#size 900, 330 * ((titles_count + 2) / 3) + 48 + 20 * key_lines(lines_count + 1, max(lines_longest, 14)) + 18 * (missing_count > 0)
#need no method with two shares of salient weights: `bitbench run experiments/sweep-salient-fraction.yaml` measures some
#list titles: SELECT title FROM sweep_perplexities WHERE experiment = :experiment AND sweep = 'salient' GROUP BY panel ORDER BY panel
#list lines: SELECT name FROM sweep_lines WHERE experiment = :experiment AND sweep = 'salient' GROUP BY number ORDER BY number
#list line_methods: SELECT method FROM sweep_lines WHERE experiment = :experiment AND sweep = 'salient' GROUP BY number ORDER BY number
#list variants: SELECT variant FROM sweep_lines WHERE experiment = :experiment AND sweep = 'salient' GROUP BY number ORDER BY number
#sql points: SELECT dense_rank() OVER (ORDER BY panel), number, x, value, low, high, points, marked FROM sweep_perplexities
#+ WHERE experiment = :experiment AND sweep = 'salient' ORDER BY panel, number, x
#sql base?: SELECT (SELECT count(DISTINCT o.panel) FROM sweep_perplexities o WHERE o.experiment = p.experiment
#+ AND o.sweep = 'salient' AND o.panel <= p.panel), min(value) FROM perplexities p WHERE experiment = :experiment AND method = 'full'
#+ GROUP BY panel
#list missing?: SELECT label FROM unmeasured WHERE experiment = :experiment ORDER BY position

sweep_label = 'salient weights (%)'
sweep_x(x) = 100 * x
sweep_ticks = 'set xtics (0.5, 1, 2, 3, 5, 10, 20, 30, 50, 100)'
load 'sweep-panels.gp'
