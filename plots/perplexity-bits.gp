# Perplexity against the bits that a weight takes as stored, with everything that is needed to rebuild it.
#
#size 900, 330 * ((titles_count + 2) / 3) + 30 + 20 * key_lines(methods_count + 3, 16)
#+ + 18 * (marked_count > 0) + 18 * (missing_count > 0)
#need no perplexity of a quantized point: `bitbench run experiments/quickstart.yaml` measures some
#list titles: SELECT title FROM perplexities WHERE experiment = :experiment AND weights > 0 AND stored_bits > 0
#+ GROUP BY panel ORDER BY panel
#list methods: SELECT method FROM perplexities WHERE experiment = :experiment AND weights > 0 AND stored_bits > 0
#+ GROUP BY method ORDER BY min(position)
#sql points: WITH here AS (SELECT * FROM perplexities WHERE experiment = :experiment AND weights > 0 AND stored_bits > 0)
#+ SELECT dense_rank() OVER (ORDER BY panel), method, stored_bits, value, low, high, marked FROM here ORDER BY position
#sql base?: SELECT (SELECT count(DISTINCT o.panel) FROM perplexities o WHERE o.experiment = p.experiment AND o.weights > 0
#+ AND o.stored_bits > 0 AND o.panel <= p.panel), min(value), min(low), max(high)
#+ FROM perplexities p WHERE experiment = :experiment AND method = 'full' GROUP BY panel
#sql front?: WITH here AS (SELECT dense_rank() OVER (ORDER BY panel) AS place, stored_bits AS bits, value FROM perplexities
#+ WHERE experiment = :experiment AND weights > 0 AND stored_bits > 0)
#+ SELECT DISTINCT a.place, a.bits, a.value FROM here a WHERE NOT EXISTS (SELECT 1 FROM here b WHERE b.place = a.place
#+ AND b.bits <= a.bits AND b.value <= a.value AND (b.bits < a.bits OR b.value < a.value)) ORDER BY 1, 2
#list marked?: SELECT label FROM perplexities WHERE experiment = :experiment AND weights > 0 AND marked LIMIT 1
#list missing?: SELECT label FROM unmeasured WHERE experiment = :experiment ORDER BY position

bits_label = 'stored bits per weight'
load 'bits-panels.gp'
