-- A database as version 1 left it: `.dump`, with its version. A test upgrades it and reads it; never change it.
PRAGMA foreign_keys = OFF;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE device (
        id TEXT PRIMARY KEY,
        token BLOB NOT NULL UNIQUE,          -- SHA-256 of the token
        name TEXT NOT NULL,
        kind TEXT NOT NULL,                  -- paired, session
        username TEXT COLLATE NOCASE REFERENCES user (name) ON DELETE CASCADE,
        role TEXT NOT NULL,
        created INTEGER NOT NULL,
        seen INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "device" VALUES('c100f6e505efca4c371c09bf083a59e3',X'3490F80401886D12F3861EC190F5C16419B26345497A92BC4530E22F5D8B4295','phone','session','anna','admin',1777636900250000,1777636900250000);
INSERT INTO "device" VALUES('f4427127e675691da4aa83b1a7e7fa4c',X'92E18130EBB234A4757B877D7BA5BDC1A973140FE662A9BFF9751C7CA38B5B2F','tablet','paired',NULL,'viewer',1777636900250000,1777636900250000);
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
    );
INSERT INTO "event" VALUES(1777636801250000,'front','motion',1777636801250000,1777636803250000,2.00000002980232238769e-01,'motion','[]',1,1);
INSERT INTO "event" VALUES(1777640000000000,'front','motion',1777640000000000,1777647200000000,0.5,'motion','[{"x":0.1,"y":0.2,"w":0.3,"h":0.4}]',0,0);
CREATE TABLE format (
        id INTEGER PRIMARY KEY,
        sps BLOB NOT NULL,
        pps BLOB NOT NULL,
        UNIQUE (sps, pps)
    );
INSERT INTO "format" VALUES(1,X'6742C00CDA0507EC0440000003004000000783C50AA8',X'68CE0FC8');
CREATE TABLE gap (
        id INTEGER PRIMARY KEY,
        camera TEXT NOT NULL,
        start INTEGER NOT NULL,
        end INTEGER NOT NULL,
        cause TEXT NOT NULL
    );
INSERT INTO "gap" VALUES(1,'front',1777636803250000,1777636860250000,'camera_unavailable');
INSERT INTO "gap" VALUES(2,'front',1777629600000000,1777633200000000,'retention');
CREATE TABLE meta (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "meta" VALUES('base_url','https://perch.local');
INSERT INTO "meta" VALUES('pairing','{"code":null,"issued":["2026-05-01T12:01:40.250000Z"]}');
INSERT INTO "meta" VALUES('pairing_salt','8813fa5e68f017cdef4182b3c1517695f2092070719dac69c1f2fe36bbb26c86');
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
    );
INSERT INTO "segment" VALUES(1,'front','front/2026-05-01/120000.250Z.mp4',1777636800250000,1777636801250000,71861,'sealed',NULL,0,1,1,1120,X'0101F811B9A8040080897A',X'6AB15073143D830384A2807A0CEBA4FF495747F74B8834BC1A04FD53777EFFF0');
INSERT INTO "segment" VALUES(2,'front','front/2026-05-01/120001.250Z.mp4',1777636801250000,1777636803250000,147073,'sealed',1777636801250000,0,1,1,1120,X'0102F811B59E040080897A00D0D5040000',X'6794D7D2BC153D22096D894A870D00CE6FFB5EAF86C0A9D86573561559B3CD0E');
INSERT INTO "segment" VALUES(3,'front','front/2026-05-01/110000.000Z.mp4',1777633200000000,1777633260000000,0,'lost',NULL,0,NULL,0,0,NULL,NULL);
CREATE TABLE stream_password (
        name TEXT PRIMARY KEY COLLATE NOCASE,
        ha1 TEXT NOT NULL,                   -- MD5(name:realm:password), what RTSP's Digest needs
        created INTEGER NOT NULL
    ) WITHOUT ROWID;
INSERT INTO "stream_password" VALUES('nvr','8418c14245b6abc2511361e1f5cf47af',1777636900250000);
CREATE TABLE user (
        name TEXT PRIMARY KEY COLLATE NOCASE,
        password TEXT NOT NULL,              -- Argon2id, PHC string
        role TEXT NOT NULL,
        created INTEGER NOT NULL             -- all times: microseconds since the epoch, UTC
    ) WITHOUT ROWID;
INSERT INTO "user" VALUES('anna','$argon2id$v=19$m=19456,t=2,p=1$+CHEeyS3DXEbdD9QsRjIpg$ca3gtkZg1t+YGPOoTy6AcQuyhhDOAhsbq5/DHC1ld4A','admin',1777636900250000);
CREATE INDEX device_user ON device (username);
CREATE INDEX event_camera ON event (camera, id);
CREATE INDEX segment_time ON segment (camera, start, end, state);
CREATE INDEX segment_usage ON segment (end, size);
CREATE INDEX segment_unsealed ON segment (state) WHERE state <> 'sealed';
CREATE INDEX segment_background ON segment (end) WHERE state = 'sealed' AND event IS NULL;
CREATE INDEX segment_of_event ON segment (event) WHERE event IS NOT NULL;
CREATE INDEX segment_events ON segment (in_cloud, end) WHERE state = 'sealed' AND event IS NOT NULL;
CREATE INDEX gap_camera ON gap (camera, end);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('segment',3);
COMMIT;
