// Starts a real perch with a config of its own on free ports, reads its one-time password, and ends it again.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');
const PERCH = process.env.PERCH_TEST_BINARY ?? join(ROOT, 'target/debug/perch');
const CAMERAS = process.env.PERCH_TEST_CAMERAS ?? join(ROOT, 'target/debug/perch-test-cameras');
const FOOTAGE = resolve(ROOT, '../shared/footage');

/** A file of real footage, or nothing where the footage is absent. */
export function footage(name: string): string | undefined {
  const path = join(FOOTAGE, name);
  return existsSync(path) ? path : undefined;
}

export interface Answer {
  status: number;
  json: any;
  /** The cookies it sets, as `name=value`. */
  cookies: string[];
}

export interface Box {
  url: string;
  otp: string;
  rtspPort: number;
  /** What its perch.toml says now. */
  config(): string;
  stop(): Promise<void>;
  /** Ends it as a power cut would, and starts it again as it was. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** Calls the API with a bearer token and gives the answer; a change may need the tag of what it was made from. */
  call(method: string, path: string, token?: string, body?: unknown, tag?: string): Promise<Answer>;
}

/** Where a box runs: what its program is run by, and where it listens, which is not only where this machine finds it. */
export interface Place {
  within: string[];
  listen: string;
}

/** Without a `[[camera]]` in its config it has none. */
export async function startBox(
  config: string,
  host = '127.0.0.1',
  { within, listen }: Place = { within: [], listen: host },
): Promise<Box> {
  const dir = mkdtempSync(join(tmpdir(), 'perch-web-'));
  const [http, rtsp, udp] = await Promise.all([freePort(), freePort(), freePort()]);
  const none = config.includes('[[camera]]') ? '' : 'camera = []\n';
  const text = `${none}
[box]
name = "Test box"
data_dir = "${join(dir, 'data')}"
[http]
listen = "${listen}:${http}"
[rtsp]
listen = "127.0.0.1:${rtsp}"
[webrtc]
udp_listen = "${listen}:${udp}"
[recording]
min_free_bytes = 0
${config}`;
  writeFileSync(join(dir, 'perch.toml'), text);
  const [program = PERCH, ...args] = [...within, PERCH, 'run', '--config', join(dir, 'perch.toml')];
  const start = () => spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((done) => child.once('exit', done));
    child.kill(signal);
    await ended;
  };
  let child = start();
  const otp = await readOtp(child);
  const url = `https://${host === '127.0.0.1' ? 'localhost' : host}:${http}`;
  return {
    url,
    otp,
    rtspPort: rtsp,
    config: () => readFileSync(join(dir, 'perch.toml'), 'utf8'),
    call: (method, path, token, body, tag) => call(url + path, method, token, body, tag),
    stop: async () => {
      await end('SIGTERM');
      rmSync(dir, { recursive: true, force: true });
    },
    down: () => end('SIGKILL'),
    up: async () => {
      child = start();
      // It says nothing that is waited for here, but must be able to say it.
      child.stdout.resume();
      child.stderr.resume();
      await answers(url);
    },
  };
}

/** A camera of the network that tells its two streams by ONVIF. */
export async function startCamera(): Promise<{ onvif: string; stop: () => void }> {
  const child: ChildProcess = spawn(CAMERAS, ['onvif'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const onvif = await new Promise<string>((found, failed) => {
    let said = '';
    child.stdout?.on('data', (piece: Buffer) => {
      said += piece;
      if (said.includes('\n')) found(said.split('\n')[0]!.trim());
    });
    child.once('exit', (code) => failed(new Error(`the camera ended with ${code}`)));
  });
  return { onvif, stop: () => child.kill('SIGTERM') };
}

function readOtp(child: ChildProcess): Promise<string> {
  let log = '';
  return new Promise((found, failed) => {
    const read = (piece: Buffer) => {
      log += piece;
      const match = /One-time password: (\d+) (\d+)/.exec(log);
      if (match) found(`${match[1]}${match[2]}`);
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('exit', (code) => failed(new Error(`perch ended with ${code}:\n${log}`)));
  });
}

/** Waits until the box answers. */
async function answers(url: string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const answer = await call(`${url}/healthz`, 'GET').catch(() => null);
    if (answer?.status === 200) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`${url} does not answer`);
}

/** A port that nobody listens at just now. */
export function freePort(): Promise<number> {
  return new Promise((done, failed) => {
    const server = createServer().once('error', failed);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        address && typeof address === 'object' ? done(address.port) : failed(new Error('no port')),
      );
    });
  });
}

function call(url: string, method: string, token?: string, body?: unknown, tag?: string): Promise<Answer> {
  const headers: Record<string, string> = { origin: new URL(url).origin };
  if (token) headers.authorization = `Bearer ${token}`;
  if (tag) headers['if-match'] = tag;
  if (body !== undefined) headers['content-type'] = 'application/json';
  return new Promise((done, failed) => {
    // The box's certificate is its own; this client and the box are on one machine.
    const sent = request(url, { method, headers, rejectUnauthorized: false }, (answer) => {
      let text = '';
      answer.on('data', (piece) => (text += piece));
      answer.on('end', () =>
        done({
          status: answer.statusCode ?? 0,
          json: text.startsWith('{') ? JSON.parse(text) : text,
          cookies: (answer.headers['set-cookie'] ?? []).map((cookie) => cookie.replace(/;.*/, '')),
        }),
      );
    });
    sent.once('error', failed);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
