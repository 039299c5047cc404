-- A journal as version 1 of the schema wrote it.
PRAGMA application_id = 1096045387;
PRAGMA user_version = 1;
CREATE TABLE items (
    key TEXT PRIMARY KEY NOT NULL, idx INTEGER NOT NULL, digest TEXT NOT NULL,
    service TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
    config_id TEXT, token TEXT NOT NULL, task_id TEXT NOT NULL,
    earlier TEXT NOT NULL, failure TEXT NOT NULL, candidates TEXT NOT NULL,
    retries TEXT NOT NULL,
    submitted REAL, queued REAL, started REAL, ended REAL, fetched REAL,
    queue_time REAL, run_time REAL,
    result BLOB, media_type TEXT NOT NULL, stored TEXT NOT NULL,
    crc INTEGER NOT NULL, run INTEGER NOT NULL
);
CREATE TABLE facts (name TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);
CREATE TABLE lock (
    id INTEGER PRIMARY KEY CHECK (id = 1), owner TEXT NOT NULL,
    pid INTEGER NOT NULL, host TEXT NOT NULL, beat REAL NOT NULL
);
INSERT INTO facts VALUES ('id', '0123456789abcdef0123456789abcdef');
INSERT INTO facts VALUES ('origin', 'http://localhost:8080');
INSERT INTO items VALUES
    ('k0',
    0,
    '',
    's',
    'succeeded',
    1,
    NULL,
    '{"id":"t0"}',
    't0',
    '',
    '',
    '',
    '',
    1.5,
    NULL,
    NULL,
    NULL,
    2.5,
    NULL,
    NULL,
    x'7b22616e73776572223a34327d',
    'application/json',
    '',
    992860512,
    1);
INSERT INTO items VALUES
    ('k1',
    1,
    '',
    's',
    'submitted',
    1,
    NULL,
    '{"id":"t1"}',
    't1',
    '',
    '',
    '',
    '',
    1.5,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    '',
    '',
    376299076,
    1);
