-- The database of results. A point is one row of `points` and everything that refers to it; it is written in one
-- transaction. NULL stands for "not a number" and "does not apply". Sizes are in bytes, times in seconds, bits per weight.
-- PRAGMA user_version is the version of this schema; a change raises STORE_VERSION and adds a step to the migrations in
-- harness/store_schema.c.

CREATE TABLE experiments (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL UNIQUE,
    title   TEXT NOT NULL,
    path    TEXT NOT NULL,              -- of the spec
    text    TEXT NOT NULL,              -- the spec as read
    updated TEXT NOT NULL               -- UTC
) STRICT;

CREATE TABLE points (
    id         TEXT PRIMARY KEY,        -- SHA-256 of the settings, versions and content hashes
    method     TEXT NOT NULL,           -- 'full', 'rtn', 'gptq', ...
    label      TEXT NOT NULL,           -- what differs from the defaults
    status     TEXT NOT NULL CHECK (status IN ('done', 'failed')),
    error      TEXT,
    warnings   TEXT NOT NULL,           -- '' or what a reader of the row must know
    model      TEXT NOT NULL,
    model_hash TEXT NOT NULL,
    settings   TEXT NOT NULL CHECK (json_valid(settings)), -- canonical: method, options, harness, calibration, data
    host       TEXT NOT NULL CHECK (json_valid(host)),     -- CPU, kernel set, threads, library versions, commit
    started    TEXT NOT NULL,           -- UTC
    finished   TEXT NOT NULL,           -- UTC
    weights    INTEGER NOT NULL,        -- quantized weights
    paper_bits REAL,                    -- by the paper's own formula, mean over the quantized weights
    paper_bits_marks REAL,              -- what the paper counts apart: masks, marks
    stored_bits REAL,                   -- every byte needed to rebuild the quantized weights
    file_bytes REAL,                    -- the whole packed model
    full_bits  REAL,                    -- file_bytes * 8 over all parameters
    weights_left REAL,                  -- weights of linear layers left as they are
    bytes_left REAL,                    -- of file_bytes: linear layers left as they are
    bytes_outer REAL,                   -- embeddings and head
    bytes_vectors REAL,                 -- norms, biases
    peak_memory REAL,                   -- bytes
    command    TEXT NOT NULL DEFAULT '', -- the command line that computed it
    spec_text  TEXT NOT NULL DEFAULT '', -- the spec as it was read then
    saved      REAL                     -- seconds of work taken over from other points of the run
) STRICT;
CREATE INDEX points_by_model ON points (model_hash, method);

-- A point that several experiments share is computed once and listed in each.
CREATE TABLE experiment_points (
    experiment_id INTEGER NOT NULL REFERENCES experiments (id) ON DELETE CASCADE,
    point_id      TEXT NOT NULL REFERENCES points (id) DEFERRABLE INITIALLY DEFERRED,
    position      INTEGER NOT NULL,     -- its place in the spec
    PRIMARY KEY (experiment_id, point_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX experiment_points_by_point ON experiment_points (point_id);

CREATE TABLE layers (
    point_id  TEXT NOT NULL REFERENCES points (id) ON DELETE CASCADE,
    block     INTEGER NOT NULL,
    name      TEXT NOT NULL,            -- 'self_attn.q_proj'
    method    TEXT NOT NULL,            -- what was applied; '' where the layer was left alone
    rows      INTEGER NOT NULL,
    columns   INTEGER NOT NULL,
    hessian_loss  REAL,                 -- tr((W - Wq) H (W - Wq)^T)
    relative_loss REAL,                 -- the same over tr(W H W^T)
    weight_mse    REAL,                 -- mean of (W - Wq)^2
    paper_bits    REAL,
    paper_bits_marks REAL,
    bytes_payload INTEGER NOT NULL,
    bytes_scales  INTEGER NOT NULL,
    bytes_zeros   INTEGER NOT NULL,
    bytes_masks   INTEGER NOT NULL,
    bytes_indices INTEGER NOT NULL,
    bytes_salient INTEGER NOT NULL,
    bytes_other   INTEGER NOT NULL,
    stored_bits   REAL GENERATED ALWAYS AS (8.0 * (bytes_payload + bytes_scales + bytes_zeros + bytes_masks +
                      bytes_indices + bytes_salient + bytes_other) / (rows * columns)) VIRTUAL,
    damping        REAL,                -- added to the Hessian's diagonal, as a share of its mean
    damping_raised INTEGER NOT NULL,    -- how often it had to be raised
    seconds        REAL NOT NULL,
    options        TEXT NOT NULL DEFAULT '', -- JSON: what a rule set for this layer; '' where none did
    condition      REAL,                -- number of the damped Hessian, largest over smallest eigenvalue: estimated
                                        -- from below by Lanczos steps, linalg/condition.c
    salient        REAL,                -- PB-LLM, BiLLM: share of the weights treated as salient
    split          REAL,                -- BiLLM: where the bell-shaped split fell, over the largest |weight| that was
                                        -- split; mean over its blocks of columns: docs/methods/billm.md
    PRIMARY KEY (point_id, block, name)
) STRICT, WITHOUT ROWID;

-- How far the hidden states behind a block of the quantized model are from the full model's, on the calibration stream.
CREATE TABLE blocks (
    point_id TEXT NOT NULL REFERENCES points (id) ON DELETE CASCADE,
    block    INTEGER NOT NULL,
    drift    REAL,                      -- |quantized - full| / |full|, Frobenius
    cosine   REAL,                      -- mean over the tokens
    PRIMARY KEY (point_id, block)
) STRICT, WITHOUT ROWID;

-- Every tensor that did not get what was asked.
CREATE TABLE exceptions (
    point_id TEXT NOT NULL REFERENCES points (id) ON DELETE CASCADE,
    block    INTEGER NOT NULL,          -- -1: outside the blocks
    name     TEXT NOT NULL,             -- of the layer or tensor
    kind     TEXT NOT NULL,             -- 'method', 'nan': left in full precision; 'group', 'damping'
    detail   TEXT NOT NULL,             -- one line: what was asked, what it got, why
    PRIMARY KEY (point_id, block, name, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE metrics (
    id        INTEGER PRIMARY KEY,
    point_id  TEXT NOT NULL REFERENCES points (id) ON DELETE CASCADE,
    kind      TEXT NOT NULL,            -- 'perplexity', 'accuracy'
    dataset   TEXT NOT NULL,
    split     TEXT NOT NULL,
    rule      TEXT NOT NULL,            -- 'windows', 'second-half'; how choices are scored: 'pmi', 'sum', ...
    window    INTEGER NOT NULL,         -- tokens; 0 for accuracy
    data_hash TEXT NOT NULL,            -- of the token ids or the questions
    value     REAL,
    standard_error REAL,
    low       REAL,                     -- the 95 % interval
    high      REAL,
    bits_per_byte REAL,                 -- perplexity only
    count     INTEGER NOT NULL,         -- scored tokens, or items
    bytes     INTEGER NOT NULL,         -- of text that the scored tokens stand for
    kl_divergence REAL,                 -- perplexity only: mean over the scored tokens of KL(full || quantized), nats
    kl_error  REAL,                     -- its standard error, over windows
    same_top  REAL,                     -- share of tokens where both have the same most likely next token
    overlap   REAL,                     -- share of the evaluation's 13-grams of tokens that calibration holds
    overlap_allowed INTEGER NOT NULL DEFAULT 0, -- 1: above the limit, and the spec allowed it
    UNIQUE (point_id, kind, dataset, split, rule, window, data_hash)
) STRICT;

-- The parts of a perplexity: paired comparison needs them.
CREATE TABLE windows (
    metric_id INTEGER NOT NULL REFERENCES metrics (id) ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    nll       REAL,                     -- summed negative log-likelihood, nats
    tokens    INTEGER NOT NULL,         -- scored
    kl        REAL,                     -- summed KL(full || quantized), nats
    same_top  INTEGER,                  -- tokens with the same most likely next token
    PRIMARY KEY (metric_id, number)
) STRICT, WITHOUT ROWID;

-- The parts of an accuracy.
CREATE TABLE items (
    metric_id INTEGER NOT NULL REFERENCES metrics (id) ON DELETE CASCADE,
    number    INTEGER NOT NULL,
    correct   REAL NOT NULL,            -- 1 or 0
    choice    INTEGER NOT NULL,
    gold      INTEGER NOT NULL,
    margin    REAL,                     -- best minus second best score
    PRIMARY KEY (metric_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE timings (
    point_id   TEXT NOT NULL REFERENCES points (id) ON DELETE CASCADE,
    repetition INTEGER NOT NULL,        -- 0, 1, ...: each time that the point was computed
    stage      TEXT NOT NULL,           -- 'load', 'calibrate', 'quantize', 'evaluate', 'total'
    wall       REAL NOT NULL,           -- seconds
    cpu        REAL NOT NULL,           -- seconds of all threads
    tokens     REAL,                    -- processed
    PRIMARY KEY (point_id, repetition, stage)
) STRICT, WITHOUT ROWID;

-- Under what load a repetition was measured.
CREATE TABLE repetitions (
    point_id    TEXT NOT NULL REFERENCES points (id) ON DELETE CASCADE,
    repetition  INTEGER NOT NULL,
    started     TEXT NOT NULL,          -- UTC
    threads     INTEGER NOT NULL,
    load_before REAL,                   -- load average of one minute
    load_after  REAL,
    busy        INTEGER NOT NULL,       -- 1: others took over a tenth of the machine: core/load.h; no measure then
    PRIMARY KEY (point_id, repetition)
) STRICT, WITHOUT ROWID;

-- A point's time for a stage is the least of its repetitions; what else was running can only add to it.
CREATE VIEW stage_times AS
    SELECT point_id, stage, min(wall) AS wall, min(cpu) AS cpu, tokens, count(*) AS repetitions, max(wall) AS longest
    FROM timings GROUP BY point_id, stage;

-- The segments that were drawn for calibration; a point names its own in settings ->> '$.calibration.hash'.
CREATE TABLE calibrations (
    hash     TEXT PRIMARY KEY,          -- SHA-256 of ids and lengths
    segments INTEGER NOT NULL,
    length   INTEGER NOT NULL,          -- tokens of each
    ids      BLOB NOT NULL              -- segments x length token ids, little-endian int32
) STRICT, WITHOUT ROWID;

-- Points as they are listed: tables and plots read this.
CREATE VIEW experiment_rows AS
    SELECT e.name AS experiment, x.position, p.*
    FROM experiments e JOIN experiment_points x ON x.experiment_id = e.id JOIN points p ON p.id = x.point_id;
