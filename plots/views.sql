-- What the SQL of several plots has in common, as temporary views and tables of the connection that draws. What others build on is a
-- table, so that it is computed once.

PRAGMA temp_store = memory;

-- experiment_rows with what tells points apart on the paper: where there are several models, theirs (without folders) before
-- the label.
CREATE TEMP TABLE named_rows AS
WITH counted AS (SELECT experiment, count(DISTINCT model_hash) > 1 AS models FROM experiment_rows GROUP BY experiment),
short AS (SELECT r.*, c.models, replace(model, rtrim(model, replace(model, '/', '')), '') AS model_name
    FROM experiment_rows r JOIN counted c ON c.experiment = r.experiment)
SELECT *, iif(models, model_name || ': ', '') || label AS full_label FROM short;

-- Perplexities, numbered by the panel that they belong to: another text, rule or model is another panel.
CREATE TEMP TABLE perplexities AS
WITH measured AS (
    SELECT r.experiment, r.position, r.id, r.method, r.label, r.settings, r.model_name, r.weights, r.paper_bits, r.stored_bits,
           m.dataset, m.split, m.rule, m.window, m.value, ifnull(m.low, m.value) AS low, ifnull(m.high, m.value) AS high,
           min(m.id) OVER (PARTITION BY r.experiment, r.model_hash, m.dataset, m.split, m.rule, m.window, m.data_hash) AS first,
           min(r.position) OVER (PARTITION BY r.experiment, r.model_hash) AS model_place,
           EXISTS (SELECT 1 FROM exceptions x WHERE x.point_id = r.id) AS marked,
           r.models
    FROM named_rows r JOIN metrics m ON m.point_id = r.id
    WHERE r.status = 'done' AND m.kind = 'perplexity' AND m.value > 0)
SELECT *, dense_rank() OVER (PARTITION BY experiment ORDER BY model_place, first) AS panel,
    iif(models, model_name || ': ', '') || dataset || iif(split = 'test', '', ' ' || split)
        || iif(rule = 'second-half', ', second halves', iif(models, '', ', windows')) || iif(models, '', ' of ' || window) AS title
FROM measured;

-- Points that a plot of perplexities cannot show.
CREATE TEMP VIEW unmeasured AS
SELECT r.experiment, r.position, r.full_label AS label FROM named_rows r
WHERE r.status <> 'done' OR (EXISTS (SELECT 1 FROM metrics m WHERE m.point_id = r.id AND m.kind = 'perplexity')
    AND NOT EXISTS (SELECT 1 FROM metrics m WHERE m.point_id = r.id AND m.kind = 'perplexity' AND m.value > 0));

-- Settings of points, one a row, as labels write them.
CREATE TEMP VIEW settings AS
SELECT p.id, p.method, j.key, CASE j.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' WHEN 'real'
    THEN printf('%g', j.value) ELSE j.value END AS value
FROM points p, json_each(p.settings, '$.options') j
UNION ALL
SELECT p.id, p.method, j.key, CASE j.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE j.value END
FROM points p, json_each(p.settings, '$.harness') j WHERE j.key <> 'seed' AND j.key <> 'layer_errors'
UNION ALL
SELECT p.id, p.method, j.key, j.value
FROM points p, json_each(p.settings, '$.calibration') j WHERE j.key IN ('corpus', 'samples', 'length')
UNION ALL
SELECT p.id, p.method, j.key, j.value FROM points p, json_each(p.settings) j WHERE j.key IN ('after', 'layers');

-- The setting that a sweep changes, as a number. BiLLM's salient columns are searched, with a limit: what it found counts,
-- which is also its paper's bits above one.
CREATE TEMP VIEW swept AS
SELECT 'salient' AS sweep, id, 1 - (settings ->> '$.options.low_frac') AS x FROM points
WHERE settings ->> '$.options.low_frac' IS NOT NULL
UNION ALL
SELECT 'salient', p.id, ifnull((SELECT sum(l.salient * l.rows * l.columns) / sum(l.rows * l.columns) FROM layers l
    WHERE l.point_id = p.id AND l.salient IS NOT NULL),
    iif(p.settings ->> '$.options.orders' = '1,1,2' AND p.settings ->> '$.options.low_method' = 'braq', p.paper_bits - 1, NULL))
FROM points p WHERE p.settings ->> '$.options.max_salient_columns' IS NOT NULL
UNION ALL
SELECT 'block', id, settings ->> '$.options.block_size' FROM points WHERE settings ->> '$.options.block_size' IS NOT NULL
UNION ALL
SELECT 'samples', id, settings ->> '$.calibration.samples' FROM points WHERE settings ->> '$.calibration.samples' IS NOT NULL;

-- The calibration texts of an experiment, by number.
CREATE TEMP VIEW calibration_texts AS
SELECT experiment, corpus, row_number() OVER (PARTITION BY experiment ORDER BY place) AS x FROM (
    SELECT experiment, settings ->> '$.calibration.corpus' AS corpus, min(position) AS place FROM experiment_rows
    WHERE settings ->> '$.calibration.corpus' IS NOT NULL GROUP BY 1, 2);

-- Points with what is left of their settings without the swept one and seeds. Where groups of scales are as wide as the blocks,
-- a sweep of the block sizes takes both along: such a point is of that line, too.
CREATE TEMP TABLE sweep_places AS
WITH placed AS (
    SELECT r.experiment, s.sweep, s.x, r.id, r.method, r.position, r.settings FROM swept s JOIN experiment_rows r ON r.id = s.id
    WHERE s.x IS NOT NULL AND r.status = 'done'
    UNION ALL
    SELECT r.experiment, 'corpus', t.x, r.id, r.method, r.position, r.settings FROM experiment_rows r JOIN calibration_texts t
    ON t.experiment = r.experiment AND t.corpus = r.settings ->> '$.calibration.corpus' WHERE r.status = 'done'),
plain AS (
    SELECT experiment, sweep, x, id, method, position,
        json_remove(settings, '$.calibration.hash', '$.calibration.seed', '$.harness.seed', '$.evaluation', '$.model_hash',
            '$.tokenizer_hash', '$.versions',
            CASE sweep WHEN 'salient' THEN '$.options.low_frac' WHEN 'block' THEN '$.options.block_size'
                WHEN 'samples' THEN '$.calibration.samples' ELSE '$.calibration.corpus' END,
            CASE sweep WHEN 'salient' THEN '$.options.max_salient_columns' ELSE '$.none' END) AS rest
    FROM placed)
SELECT * FROM plain
UNION ALL
SELECT experiment, sweep, x, id, method, position, json_set(rest, '$.options.group_size', 'block') FROM plain
WHERE sweep = 'block' AND rest ->> '$.options.group_size' = x;

-- Those of one line; what is no line (a single place) is left out.
CREATE TEMP TABLE sweep_points AS
SELECT p.* FROM sweep_places p JOIN (SELECT experiment, sweep, rest FROM sweep_places GROUP BY 1, 2, 3 HAVING count(DISTINCT x) > 1) l
ON l.experiment = p.experiment AND l.sweep = p.sweep AND l.rest = p.rest;

-- A line's name: the method, and the settings that tell its method's lines apart. variant counts a method's lines from 0.
CREATE TEMP TABLE sweep_lines AS
WITH one AS (
    SELECT experiment, sweep, method, rest, min(id) AS id, min(position) AS place FROM sweep_points GROUP BY 1, 2, 4),
written AS (
    SELECT o.experiment, o.sweep, o.rest, o.method, s.key,
        iif(s.key = 'group_size' AND o.rest ->> '$.options.group_size' = 'block', 'block_size', s.value) AS value
    FROM one o JOIN settings s ON s.id = o.id
    WHERE s.key <> CASE o.sweep WHEN 'salient' THEN 'low_frac' WHEN 'block' THEN 'block_size' WHEN 'samples' THEN 'samples'
        ELSE 'corpus' END
      AND NOT (o.sweep = 'salient' AND s.key = 'max_salient_columns')),
said AS (
    SELECT *, min(value) OVER k <> max(value) OVER k OR count(*) OVER k < (SELECT count(*) FROM one o
        WHERE o.experiment = w.experiment AND o.sweep = w.sweep AND o.method = w.method) AS varies FROM written w
    WINDOW k AS (PARTITION BY experiment, sweep, method, key)),
named AS (
    SELECT o.*, o.method || ifnull((SELECT group_concat(' ' || key || '=' || value, '') FROM (SELECT key, value FROM said a
        WHERE a.experiment = o.experiment AND a.sweep = o.sweep AND a.rest = o.rest AND a.varies ORDER BY key)), '') AS name
    FROM one o),
distinct_names AS (
    SELECT experiment, sweep, method, name, min(place) AS place FROM named GROUP BY 1, 2, 3, 4),
numbered AS (
    SELECT *, row_number() OVER (PARTITION BY experiment, sweep ORDER BY place, name) AS number,
        row_number() OVER (PARTITION BY experiment, sweep, method ORDER BY place, name) - 1 AS variant FROM distinct_names)
SELECT n.experiment, n.sweep, n.rest, n.method, n.name, d.number, d.variant FROM named n JOIN numbered d
ON d.experiment = n.experiment AND d.sweep = n.sweep AND d.method = n.method AND d.name = n.name;

-- Perplexity along each line: the mean over seeds, with the interval of a single point or the range of several.
CREATE TEMP VIEW sweep_perplexities AS
SELECT p.experiment, s.sweep, p.panel, p.title, l.number, l.variant, l.method, l.name, s.x, avg(p.value) AS value,
    iif(count(*) = 1, min(p.low), min(p.value)) AS low, iif(count(*) = 1, max(p.high), max(p.value)) AS high,
    count(*) AS points, max(p.marked) AS marked
FROM sweep_points s JOIN sweep_lines l ON l.experiment = s.experiment AND l.sweep = s.sweep AND l.rest = s.rest
JOIN perplexities p ON p.experiment = s.experiment AND p.id = s.id
GROUP BY p.experiment, s.sweep, p.panel, l.number, s.x;
