# Perplexity on each text against the text that calibrated the method. Over several seeds: the mean, and their range as the bar.
#
#size 900, 330 * ((titles_count + 2) / 3) + 48 + 20 * key_lines(lines_count + 1, max(lines_longest, 14)) + 18 * (missing_count > 0)
#need no method with two calibration texts: `bitbench run experiments/sweep-calibration.yaml` measures some
#list titles: SELECT title FROM sweep_perplexities WHERE experiment = :experiment AND sweep = 'corpus' GROUP BY panel ORDER BY panel
#list lines: SELECT name FROM sweep_lines WHERE experiment = :experiment AND sweep = 'corpus' GROUP BY number ORDER BY number
#list line_methods: SELECT method FROM sweep_lines WHERE experiment = :experiment AND sweep = 'corpus' GROUP BY number ORDER BY number
#list variants: SELECT variant FROM sweep_lines WHERE experiment = :experiment AND sweep = 'corpus' GROUP BY number ORDER BY number
#sql points: SELECT dense_rank() OVER (ORDER BY panel), number, x, value, low, high, points, marked FROM sweep_perplexities
#+ WHERE experiment = :experiment AND sweep = 'corpus' ORDER BY panel, number, x
#sql base?: SELECT (SELECT count(DISTINCT o.panel) FROM sweep_perplexities o WHERE o.experiment = p.experiment
#+ AND o.sweep = 'corpus' AND o.panel <= p.panel), min(value) FROM perplexities p WHERE experiment = :experiment AND method = 'full'
#+ GROUP BY panel
#list corpora: SELECT corpus FROM calibration_texts WHERE experiment = :experiment ORDER BY x
#list missing?: SELECT label FROM unmeasured WHERE experiment = :experiment ORDER BY position

sweep_label = 'calibration text'
sweep_joined = 0
sweep_dodge = 2 ** (0.5 / (lines_count + 1)) # places are powers of two, on an axis that is logarithmic
sweep_x(x) = 2.0 ** x
# Labels in place of tick labels, which gnuplot would take as formats.
tick(j) = fit_tail(corpora[j], int((panel_letters - 8) / corpora_count))
sweep_ticks = 'set xtics (); do for [j = 1:corpora_count] { set xtics add ("" 2.0 ** j);' \
    . 'set label (1000 + j) tick(j) noenhanced at first 2.0 ** j, graph 0 offset 0, -1 center }'
load 'sweep-panels.gp'
