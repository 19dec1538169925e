-- The first schema. Times are UTC. Big tables key on sample_no and a class code and carry no index:
-- uniqueness is kept by anti-joins. Identifiers are UUIDv7 as text. NULL means "no label".

CREATE TABLE migration (
    number INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    applied_at TIMESTAMP NOT NULL
);

-- What was ingested, and where each sample lies.

CREATE TABLE class (
    class INTEGER NOT NULL,
    name VARCHAR NOT NULL
);

CREATE TABLE dataset (
    dataset_no INTEGER NOT NULL,
    name VARCHAR NOT NULL,
    role VARCHAR NOT NULL CHECK (role IN ('train', 'test')),
    kind VARCHAR NOT NULL,
    uris VARCHAR[] NOT NULL,
    digest VARCHAR NOT NULL,
    files JSON NOT NULL,
    classes VARCHAR[] NOT NULL,
    height INTEGER,
    width INTEGER,
    channels INTEGER,
    labels_uri VARCHAR,
    rows BIGINT NOT NULL,
    outcome JSON NOT NULL,
    run_id VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE sample (
    sample_no BIGINT NOT NULL,
    sample_id VARCHAR NOT NULL,
    content_hash VARCHAR NOT NULL,
    group_name VARCHAR,
    role VARCHAR NOT NULL CHECK (role IN ('train', 'validation', 'calibration', 'test', 'pool'))
);

CREATE TABLE source_row (
    dataset_no INTEGER NOT NULL,
    sample_no BIGINT NOT NULL,
    file INTEGER NOT NULL,
    row BIGINT NOT NULL,
    position BIGINT NOT NULL
);

CREATE TABLE given_label (
    sample_no BIGINT NOT NULL,
    class INTEGER NOT NULL,
    dataset_no INTEGER NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- What was done, and what came of it.

CREATE TABLE run (
    run_id VARCHAR NOT NULL,
    parent_id VARCHAR,
    command VARCHAR NOT NULL,
    status VARCHAR NOT NULL CHECK (status IN ('running', 'done', 'failed', 'interrupted')),
    pid BIGINT NOT NULL,
    host VARCHAR NOT NULL,
    config JSON NOT NULL,
    config_hash VARCHAR NOT NULL,
    seed BIGINT,
    versions JSON NOT NULL,
    device VARCHAR NOT NULL,
    started_at TIMESTAMP NOT NULL,
    ended_at TIMESTAMP,
    rows_given BIGINT NOT NULL,
    rows_labeled BIGINT NOT NULL,
    rows_abstained BIGINT NOT NULL,
    rows_failed BIGINT NOT NULL,
    rows_skipped BIGINT NOT NULL,
    stop_reason VARCHAR,
    error VARCHAR,
    outcome JSON NOT NULL
);

CREATE TABLE metric (
    run_id VARCHAR NOT NULL,
    round INTEGER NOT NULL,
    step BIGINT NOT NULL,
    name VARCHAR NOT NULL,
    value DOUBLE NOT NULL
);

CREATE TABLE model (
    model_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    round INTEGER NOT NULL,
    role VARCHAR NOT NULL CHECK (role IN ('teacher', 'student')),
    method VARCHAR NOT NULL,
    network VARCHAR NOT NULL,
    parent_id VARCHAR,
    path VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    classes JSON NOT NULL,
    preprocessing JSON NOT NULL,
    temperature DOUBLE NOT NULL,
    calibrated BOOLEAN NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE policy (
    policy_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    model_id VARCHAR NOT NULL,
    score VARCHAR NOT NULL,
    target_precision DOUBLE,
    confidence_level DOUBLE,
    least_familiarity DOUBLE,
    created_at TIMESTAMP NOT NULL
);

-- class NULL: the threshold of every class that has none of its own
CREATE TABLE policy_threshold (
    policy_id VARCHAR NOT NULL,
    class INTEGER,
    threshold DOUBLE NOT NULL
);

-- Each reading of the calibration labels: a digest of what was asked, the level spent on it, and the answer.
CREATE TABLE look (
    look INTEGER NOT NULL,
    question VARCHAR NOT NULL,
    level DOUBLE NOT NULL,
    answer JSON NOT NULL,
    run_id VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- class NULL: all classes together; threshold: of a student's, as a label set's is its policy's
CREATE TABLE certificate (
    certificate_id VARCHAR NOT NULL,
    kind VARCHAR NOT NULL CHECK (kind IN ('calibration', 'audit', 'student')),
    label_set_id VARCHAR,
    model_id VARCHAR,
    class INTEGER,
    checked BIGINT NOT NULL,
    wrong BIGINT NOT NULL,
    promised_precision DOUBLE NOT NULL,
    confidence DOUBLE NOT NULL,
    look INTEGER NOT NULL,
    rows_digest VARCHAR NOT NULL,
    threshold DOUBLE,
    valid BOOLEAN NOT NULL,
    reason VARCHAR,
    created_at TIMESTAMP NOT NULL
);

-- Written last: a pseudo_label without its label_set does not count and is swept.
CREATE TABLE label_set (
    label_set_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    round INTEGER NOT NULL,
    model_id VARCHAR NOT NULL,
    policy_id VARCHAR NOT NULL,
    parent_id VARCHAR,
    rows BIGINT NOT NULL,
    digest VARCHAR NOT NULL,
    message VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE pseudo_label (
    label_set_id VARCHAR NOT NULL,
    sample_no BIGINT NOT NULL,
    class INTEGER NOT NULL,
    confidence DOUBLE NOT NULL,
    runner_up INTEGER NOT NULL,
    runner_up_probability DOUBLE NOT NULL
);

-- What people said.

CREATE TABLE decision (
    decision_no BIGINT NOT NULL,
    sample_no BIGINT NOT NULL,
    decision VARCHAR NOT NULL CHECK (decision IN ('confirm', 'relabel', 'reject', 'unsure')),
    class INTEGER,
    actor VARCHAR NOT NULL,
    label_set_id VARCHAR,
    lead_time_s DOUBLE,
    created_at TIMESTAMP NOT NULL,
    CHECK ((decision IN ('confirm', 'relabel')) = (class IS NOT NULL))
);

CREATE TABLE audit (
    audit_id VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    label_set_id VARCHAR NOT NULL,
    seed BIGINT NOT NULL,
    n BIGINT NOT NULL,
    plan JSON NOT NULL,
    created_at TIMESTAMP NOT NULL
);

-- places: where the page of the row's stage shows it, from 0; two places where it is shown twice
CREATE TABLE audit_row (
    audit_id VARCHAR NOT NULL,
    sample_no BIGINT NOT NULL,
    stage INTEGER NOT NULL,
    places INTEGER[] NOT NULL
);

-- class: the right one, where a wrong label's judge named it
CREATE TABLE audit_verdict (
    audit_id VARCHAR NOT NULL,
    sample_no BIGINT NOT NULL,
    occurrence INTEGER NOT NULL,
    verdict VARCHAR NOT NULL CHECK (verdict IN ('right', 'wrong', 'none', 'unsure')),
    class INTEGER,
    lead_time_s DOUBLE,
    actor VARCHAR NOT NULL,
    created_at TIMESTAMP NOT NULL
);

CREATE TABLE alias (
    name VARCHAR NOT NULL,
    label_set_id VARCHAR NOT NULL,
    moved_at TIMESTAMP NOT NULL
);

-- What users ask. Nothing below shows a test row.

-- Every sample that is not test, with the label it would have if this label set were the current one.
-- A decision comes before a given label, a given label before a pseudo-label; an "unsure" says nothing.
CREATE MACRO labels_under(shown_set) AS TABLE
WITH given AS (
    SELECT sample_no, arg_max(class, dataset_no) AS class
    FROM given_label
    GROUP BY sample_no
), decided AS (
    SELECT sample_no, max(decision_no) AS decision_no
    FROM decision
    WHERE decision <> 'unsure'
    GROUP BY sample_no
), pseudo AS (
    SELECT pseudo_label.*
    FROM pseudo_label
    JOIN label_set ON label_set.label_set_id = pseudo_label.label_set_id
    WHERE pseudo_label.label_set_id = shown_set
), settled AS (
    SELECT
        sample.sample_no,
        sample.sample_id,
        sample.role,
        CASE
            WHEN decided.sample_no IS NOT NULL THEN 'decision'
            WHEN given.sample_no IS NOT NULL THEN 'given'
            WHEN pseudo.sample_no IS NOT NULL THEN 'pseudo'
            ELSE 'none'
        END AS source,
        decision.class AS decision_class,
        given.class AS given_class,
        pseudo.class AS pseudo_class,
        pseudo.confidence,
        pseudo.runner_up,
        pseudo.runner_up_probability,
        pseudo.label_set_id
    FROM sample
    LEFT JOIN decided ON decided.sample_no = sample.sample_no
    LEFT JOIN decision ON decision.decision_no = decided.decision_no
    LEFT JOIN given ON given.sample_no = sample.sample_no
    LEFT JOIN pseudo ON pseudo.sample_no = sample.sample_no
    WHERE sample.role <> 'test'
)
SELECT
    settled.sample_id,
    chosen.name AS label,
    settled.source,
    CASE WHEN settled.source = 'pseudo' THEN settled.confidence END AS confidence,
    CASE WHEN settled.source = 'pseudo' THEN second.name END AS runner_up,
    CASE WHEN settled.source = 'pseudo' THEN settled.label_set_id END AS label_set_id,
    settled.role,
    CASE WHEN settled.source = 'pseudo' THEN settled.runner_up_probability END AS runner_up_probability,
    settled.sample_no
FROM settled
LEFT JOIN class AS chosen ON chosen.class = CASE settled.source
    WHEN 'decision' THEN settled.decision_class
    WHEN 'given' THEN settled.given_class
    WHEN 'pseudo' THEN settled.pseudo_class
END
LEFT JOIN class AS second ON second.class = settled.runner_up;

CREATE VIEW labels AS
SELECT sample_id, label, source, confidence, runner_up, label_set_id, role
FROM labels_under((SELECT max(alias.label_set_id) FROM alias WHERE alias.name = 'current'));

-- Everything that was ever said of a sample's label.
CREATE VIEW label_history AS
WITH said AS (
    SELECT
        given_label.sample_no,
        given_label.created_at,
        'given' AS source,
        'given' AS event,
        given_label.class,
        NULL::DOUBLE AS confidence,
        NULL::INTEGER AS runner_up,
        NULL::VARCHAR AS label_set_id,
        NULL::VARCHAR AS actor,
        dataset.name AS dataset
    FROM given_label
    JOIN dataset ON dataset.dataset_no = given_label.dataset_no
    UNION ALL
    SELECT
        pseudo_label.sample_no,
        label_set.created_at,
        'pseudo',
        'accepted',
        pseudo_label.class,
        pseudo_label.confidence,
        pseudo_label.runner_up,
        pseudo_label.label_set_id,
        NULL,
        NULL
    FROM pseudo_label
    JOIN label_set ON label_set.label_set_id = pseudo_label.label_set_id
    UNION ALL
    SELECT
        decision.sample_no,
        decision.created_at,
        'decision',
        decision.decision,
        decision.class,
        NULL,
        NULL,
        decision.label_set_id,
        decision.actor,
        NULL
    FROM decision
)
SELECT
    sample.sample_id,
    said.created_at,
    said.source,
    said.event,
    class.name AS label,
    said.confidence,
    second.name AS runner_up,
    said.label_set_id,
    said.actor,
    said.dataset
FROM said
JOIN sample ON sample.sample_no = said.sample_no AND sample.role <> 'test'
LEFT JOIN class ON class.class = said.class
LEFT JOIN class AS second ON second.class = said.runner_up;

-- One row per sample that is not test: its label, and what that label rests on. ``dataset`` is the one that gave
-- the label or, where none did, the one in which the sample lies; ``file`` and ``row`` say where.
CREATE VIEW provenance AS
WITH latest_given AS (
    SELECT sample_no, max(dataset_no) AS dataset_no
    FROM given_label
    GROUP BY sample_no
), latest_decision AS (
    SELECT sample_no, max(decision_no) AS decision_no
    FROM decision
    WHERE decision <> 'unsure'
    GROUP BY sample_no
), place AS (
    SELECT sample_no, min({'dataset_no': dataset_no, 'file': file, 'row': row}) AS first
    FROM source_row
    GROUP BY sample_no
), bound AS (
    SELECT label_set_id, arg_max(certificate_id, {'is_audit': kind = 'audit', 'certificate_id': certificate_id}) AS certificate_id
    FROM certificate
    WHERE valid AND class IS NULL
    GROUP BY label_set_id
)
SELECT
    labels.sample_id,
    labels.label,
    labels.source,
    labels.confidence,
    labels.runner_up,
    labels.runner_up_probability,
    labels.role,
    dataset.name AS dataset,
    dataset.digest AS dataset_digest,
    lying_in.uris[place.first.file + 1] AS file,
    place.first.row AS row,
    CASE WHEN labels.source = 'decision' THEN decision.decision END AS decision,
    CASE WHEN labels.source = 'decision' THEN decision.actor END AS actor,
    labels.label_set_id,
    label_set.round,
    label_set.policy_id,
    policy.score,
    coalesce(own.threshold, shared.threshold) AS threshold,
    policy.target_precision,
    certificate.certificate_id,
    certificate.promised_precision,
    certificate.confidence AS certificate_confidence,
    label_set.model_id,
    model.role AS model_role,
    model.method,
    model.network,
    model.sha256 AS weights_sha256,
    model.run_id AS training_run_id,
    label_set.run_id
FROM labels_under((SELECT max(alias.label_set_id) FROM alias WHERE alias.name = 'current')) AS labels
LEFT JOIN latest_given ON latest_given.sample_no = labels.sample_no
LEFT JOIN place ON place.sample_no = labels.sample_no
LEFT JOIN dataset AS lying_in ON lying_in.dataset_no = place.first.dataset_no
LEFT JOIN dataset ON dataset.dataset_no = coalesce(latest_given.dataset_no, place.first.dataset_no)
LEFT JOIN latest_decision ON latest_decision.sample_no = labels.sample_no
LEFT JOIN decision ON decision.decision_no = latest_decision.decision_no
LEFT JOIN label_set ON label_set.label_set_id = labels.label_set_id
LEFT JOIN policy ON policy.policy_id = label_set.policy_id
LEFT JOIN class ON class.name = labels.label
LEFT JOIN policy_threshold AS own ON own.policy_id = label_set.policy_id AND own.class = class.class
LEFT JOIN policy_threshold AS shared ON shared.policy_id = label_set.policy_id AND shared.class IS NULL
LEFT JOIN bound ON bound.label_set_id = labels.label_set_id
LEFT JOIN certificate ON certificate.certificate_id = bound.certificate_id
LEFT JOIN model ON model.model_id = label_set.model_id;

CREATE VIEW label_sets AS
WITH names AS (
    SELECT label_set_id, bool_or(name = 'current') AS current, list(name ORDER BY name) FILTER (name <> 'current') AS tags
    FROM alias
    GROUP BY label_set_id
), certified AS (
    SELECT label_set_id, bool_or(valid) AS certified
    FROM certificate
    WHERE class IS NULL
    GROUP BY label_set_id
)
SELECT
    label_set.label_set_id,
    label_set.created_at,
    label_set.round,
    label_set.rows,
    coalesce(names.current, false) AS current,
    coalesce(names.tags, []) AS tags,
    coalesce(certified.certified, false) AS certified,
    shared.threshold,
    policy.target_precision,
    label_set.message,
    label_set.model_id,
    model.role AS model_role,
    model.method,
    label_set.policy_id,
    label_set.run_id,
    label_set.parent_id,
    label_set.digest
FROM label_set
LEFT JOIN names ON names.label_set_id = label_set.label_set_id
LEFT JOIN certified ON certified.label_set_id = label_set.label_set_id
LEFT JOIN policy ON policy.policy_id = label_set.policy_id
LEFT JOIN policy_threshold AS shared ON shared.policy_id = label_set.policy_id AND shared.class IS NULL
LEFT JOIN model ON model.model_id = label_set.model_id
ORDER BY label_set.created_at, label_set.label_set_id;

CREATE VIEW curves AS
SELECT metric.run_id, run.command, run.started_at, metric.round, metric.step, metric.name, metric.value
FROM metric
JOIN run ON run.run_id = metric.run_id
ORDER BY run.started_at, metric.run_id, metric.name, metric.round, metric.step;

-- What the label set "after" says otherwise than "before", sample by sample.
CREATE MACRO label_changes(before_set, after_set) AS TABLE
WITH before AS (
    SELECT pseudo_label.sample_no, pseudo_label.class
    FROM pseudo_label
    JOIN label_set ON label_set.label_set_id = pseudo_label.label_set_id
    WHERE pseudo_label.label_set_id = before_set
), after AS (
    SELECT pseudo_label.sample_no, pseudo_label.class
    FROM pseudo_label
    JOIN label_set ON label_set.label_set_id = pseudo_label.label_set_id
    WHERE pseudo_label.label_set_id = after_set
)
SELECT
    sample.sample_id,
    old.name AS before,
    new.name AS after,
    CASE
        WHEN old.name IS NULL THEN 'gained'
        WHEN new.name IS NULL THEN 'withdrawn'
        WHEN old.class = new.class THEN 'unchanged'
        ELSE 'changed'
    END AS change
FROM before
FULL JOIN after ON after.sample_no = before.sample_no
JOIN sample ON sample.sample_no = coalesce(before.sample_no, after.sample_no)
LEFT JOIN class AS old ON old.class = before.class
LEFT JOIN class AS new ON new.class = after.class;
