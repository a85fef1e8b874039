CREATE TABLE copy (
    target TEXT NOT NULL,                -- host, bucket and folder
    segment INTEGER NOT NULL,
    camera TEXT NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    state TEXT NOT NULL,                 -- uploading, committed, verified
    key TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    upload TEXT,                         -- the store's name of an upload in parts
    changed INTEGER NOT NULL, event INTEGER, format INTEGER, audio INTEGER NOT NULL DEFAULT 0, init_size INTEGER NOT NULL DEFAULT 0, fragments BLOB, seal BLOB,
    PRIMARY KEY (target, segment)
) WITHOUT ROWID;

CREATE TABLE copy_lost (
    segment INTEGER PRIMARY KEY,
    camera TEXT NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    size INTEGER NOT NULL,
    at INTEGER NOT NULL
, why TEXT);

CREATE TABLE copy_month (
    target TEXT NOT NULL,
    month TEXT NOT NULL,                 -- such as 2026-05, UTC
    bytes INTEGER NOT NULL,
    PRIMARY KEY (target, month)
) WITHOUT ROWID;

CREATE TABLE device (
    id TEXT PRIMARY KEY,
    token BLOB NOT NULL UNIQUE,          -- SHA-256 of the token
    name TEXT NOT NULL,
    kind TEXT NOT NULL,                  -- paired, session
    username TEXT COLLATE NOCASE REFERENCES user (name) ON DELETE CASCADE,
    role TEXT NOT NULL,
    created INTEGER NOT NULL,
    seen INTEGER NOT NULL
, cameras TEXT, expires INTEGER, live_only INTEGER NOT NULL DEFAULT 0, view TEXT) WITHOUT ROWID;

CREATE TABLE event (
    id INTEGER PRIMARY KEY,              -- its start, moved on until free
    camera TEXT NOT NULL,
    kind TEXT NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER,
    score REAL NOT NULL,
    cause TEXT NOT NULL,
    boxes TEXT NOT NULL,                 -- JSON
    pinned INTEGER NOT NULL DEFAULT 0,
    thumbnail INTEGER NOT NULL DEFAULT 0
, since INTEGER, chapter INTEGER NOT NULL DEFAULT 1);

CREATE TABLE format (
    id INTEGER PRIMARY KEY,
    sps BLOB NOT NULL,
    pps BLOB NOT NULL,
    UNIQUE (sps, pps)
);

CREATE TABLE gap (
    id INTEGER PRIMARY KEY,
    camera TEXT NOT NULL,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    cause TEXT NOT NULL
, off_by TEXT);

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE segment (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    camera TEXT NOT NULL,
    path TEXT NOT NULL UNIQUE,           -- below recordings/
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    size INTEGER NOT NULL,               -- bytes on the disk; 0 when lost or quarantined
    state TEXT NOT NULL,                 -- open, sealed, lost, quarantined, deleting
    event INTEGER REFERENCES event (id) ON DELETE SET NULL,
    in_cloud INTEGER NOT NULL DEFAULT 0,
    format INTEGER REFERENCES format (id),
    audio INTEGER NOT NULL DEFAULT 0,    -- channels; 0 is none
    init_size INTEGER NOT NULL DEFAULT 0,
    fragments BLOB,                      -- see `fragments`
    sha256 BLOB                          -- of the whole file; null when it was taken in at a start
, copied INTEGER NOT NULL DEFAULT 0);

CREATE TABLE sqlite_sequence(name,seq);

CREATE TABLE stream_password (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    ha1 TEXT NOT NULL,                   -- MD5(name:realm:password), what RTSP's Digest needs
    created INTEGER NOT NULL
, cameras TEXT) WITHOUT ROWID;

CREATE TABLE usage (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    bytes INTEGER NOT NULL
);

CREATE TABLE user (
    name TEXT PRIMARY KEY COLLATE NOCASE,
    password TEXT NOT NULL,              -- Argon2id, PHC string
    role TEXT NOT NULL,
    created INTEGER NOT NULL             -- all times: microseconds since the epoch, UTC
, cameras TEXT, expires INTEGER, live_only INTEGER NOT NULL DEFAULT 0, view TEXT) WITHOUT ROWID;

CREATE INDEX copy_begun ON copy (target) WHERE state <> 'verified';

CREATE INDEX copy_end ON copy (end);

CREATE INDEX copy_segment ON copy (segment);

CREATE INDEX copy_time ON copy (camera, start);

CREATE INDEX device_user ON device (username);

CREATE INDEX event_camera ON event (camera, id);

CREATE INDEX event_long ON event (coalesce(end, 9223372036854775807)) WHERE end IS NULL OR end - start > 3600000000;

CREATE INDEX gap_camera ON gap (camera, end);

CREATE INDEX gap_retention ON gap (camera, start) WHERE cause = 'retention';

CREATE INDEX segment_background ON segment (end) WHERE state = 'sealed' AND event IS NULL;

CREATE INDEX segment_copied_background ON segment (copied, end) WHERE state = 'sealed' AND event IS NULL;

CREATE INDEX segment_copied_events ON segment (copied, end) WHERE state = 'sealed' AND event IS NOT NULL;

CREATE INDEX segment_events ON segment (in_cloud, end) WHERE state = 'sealed' AND event IS NOT NULL;

CREATE INDEX segment_of_event ON segment (event) WHERE event IS NOT NULL;

CREATE INDEX segment_time ON segment (camera, start, end, state);

CREATE INDEX segment_unsealed ON segment (state) WHERE state <> 'sealed';

CREATE INDEX segment_usage ON segment (end, size);

CREATE TRIGGER segment_added AFTER INSERT ON segment WHEN new.size <> 0 BEGIN
    UPDATE usage SET bytes = bytes + new.size;
END;

CREATE TRIGGER segment_claimed AFTER UPDATE OF event ON segment WHEN new.copied = 1 AND new.event IS NOT old.event BEGIN
    UPDATE segment SET copied = 0 WHERE id = new.id;
END;

CREATE TRIGGER segment_gone BEFORE DELETE ON segment BEGIN
    UPDATE copy SET event = old.event, format = old.format, audio = old.audio, init_size = old.init_size, fragments = old.fragments
    WHERE segment = old.id AND state = 'verified';
END;

CREATE TRIGGER segment_recut AFTER UPDATE OF size ON segment
    WHEN new.size <> old.size AND old.state = 'sealed' AND new.state = 'sealed' BEGIN
    UPDATE segment SET copied = 0 WHERE id = new.id;
    DELETE FROM copy WHERE segment = new.id;
END;

CREATE TRIGGER segment_removed AFTER DELETE ON segment WHEN old.size <> 0 BEGIN
    UPDATE usage SET bytes = bytes - old.size;
END;

CREATE TRIGGER segment_resized AFTER UPDATE OF size ON segment WHEN new.size <> old.size BEGIN
    UPDATE usage SET bytes = bytes + new.size - old.size;
END;

