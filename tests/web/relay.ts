// A real coturn for the tests, as somebody might run it in a house, and credentials for it.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './box';

const SECRET = 'of the relay';

/** An IPv4 address of this machine that is not its loopback one: nobody is relayed to that. */
export function outside(): string | undefined {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
}

export interface Relay {
  urls: { udp: string; tcp: string; tls: string };
  /** What perch.toml says of it, by one of its URLs or several. */
  config(...urls: string[]): string;
  /** A name and a password that lapse so many seconds from now. */
  credential(lapseS: number): { username: string; credential: string };
  stop(): Promise<void>;
}

export async function startRelay(ip: string): Promise<Relay> {
  const dir = mkdtempSync(join(tmpdir(), 'perch-relay-'));
  const [port, tlsPort] = await Promise.all([freePort(), freePort()]);
  const [secretFile, request] = [join(dir, 'secret'), join(dir, 'req')];
  writeFileSync(secretFile, `${SECRET}\n`, { mode: 0o600 });
  writeFileSync(
    request,
    `[req]\ndistinguished_name = dn\nx509_extensions = ext\nprompt = no\n[dn]\nCN = relay\n[ext]\n` +
      `subjectAltName = IP:${ip}\nbasicConstraints = critical,CA:FALSE\n`,
  );
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  execFileSync(
    'openssl',
    ['req', '-x509', ...curve, '-nodes', '-days', '2', '-config', request, '-keyout', key, '-out', cert],
    { stdio: 'ignore' },
  );
  const child: ChildProcess = spawn(
    'turnserver',
    [
      ...['-n', '--use-auth-secret', `--static-auth-secret=${SECRET}`, '--realm=house', '--no-cli'],
      ...['--fingerprint', '--no-dtls', '--allow-loopback-peers', '--log-file=stdout'],
      ...[`--listening-ip=${ip}`, `--relay-ip=${ip}`, `--listening-port=${port}`],
      ...[`--tls-listening-port=${tlsPort}`, `--cert=${cert}`, `--pkey=${key}`],
      ...[`--pidfile=${join(dir, 'pid')}`, `--userdb=${join(dir, 'db')}`],
    ],
    { stdio: 'ignore' },
  );
  const urls = {
    udp: `turn:${ip}:${port}?transport=udp`,
    tcp: `turn:${ip}:${port}?transport=tcp`,
    tls: `turns:${ip}:${tlsPort}?transport=tcp`,
  };
  return {
    urls,
    config: (...of) =>
      of
        .map(
          (url) => `\n[[webrtc.turn]]\nurl = "${url}"\nsecret_file = "${secretFile}"\nca_file = "${cert}"\n`,
        )
        .join(''),
    credential(lapseS) {
      const username = `${Math.floor(Date.now() / 1000) + lapseS}:test`;
      return {
        username,
        credential: createHmac('sha1', SECRET).update(username).digest('base64'),
      };
    },
    stop: async () => {
      const ended = new Promise((done) => child.once('exit', done));
      child.kill('SIGKILL');
      await ended;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
