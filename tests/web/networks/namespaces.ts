// A box and a phone in network namespaces of their own, and a way between them that is made narrow, lossy, late, or cut. The box has a
// second way to this machine, which stays as it is.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXECUTABLE } from '../../../web/dev/chromium.mjs';
import type { Place } from '../box';

const BOX = `perch-box-${process.pid}`;
const PHONE = `perch-phone-${process.pid}`;
/** The box as the phone finds it, and as this machine does. */
export const BOX_FOR_PHONE = '10.213.0.1';
const PHONE_ADDRESS = '10.213.0.2';
export const BOX_FOR_US = '10.213.1.1';

/** The way's ends, each with its namespace. */
const ENDS = [
  [BOX, 'phone'],
  [PHONE, 'box'],
] as const;

const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
const inBox = (...args: string[]) => run('ip', 'netns', 'exec', BOX, ...args);

/** Where the box is to run. */
export const PLACE: Place = { within: ['ip', 'netns', 'exec', BOX], listen: '0.0.0.0' };

export class Networks {
  #folder = mkdtempSync(join(tmpdir(), 'perch-networks-'));
  /** A Chromium that lives with the phone. */
  readonly chromium = join(this.#folder, 'chromium');
  #way: ChildProcess | null = null;

  /** `isLate`: the way is one that can be made late, and costs time of its own. */
  constructor(isLate = false) {
    for (const name of [BOX, PHONE]) {
      run('ip', 'netns', 'add', name);
      run('ip', '-n', name, 'link', 'set', 'lo', 'up');
    }
    if (isLate) {
      for (const [name, device] of ENDS) run('ip', '-n', name, 'tuntap', 'add', 'dev', device, 'mode', 'tap');
      this.#way = spawn('python3', [join(import.meta.dirname, 'way.py'), ...ENDS.flat()], {
        stdio: ['pipe', 'ignore', 'inherit'],
      });
    } else
      run('ip', 'link', 'add', 'phone', 'netns', BOX, 'type', 'veth', 'peer', 'name', 'box', 'netns', PHONE);
    run('ip', 'link', 'add', 'us', 'netns', BOX, 'type', 'veth', 'peer', 'name', 'perch-test');
    for (const [name, device, address] of [
      [BOX, 'phone', BOX_FOR_PHONE],
      [BOX, 'us', BOX_FOR_US],
      [PHONE, 'box', PHONE_ADDRESS],
    ] as const) {
      run('ip', '-n', name, 'address', 'add', `${address}/24`, 'dev', device);
      run('ip', '-n', name, 'link', 'set', device, 'up');
    }
    run('ip', 'address', 'add', '10.213.1.2/24', 'dev', 'perch-test');
    run('ip', 'link', 'set', 'perch-test', 'up');
    inBox('nft', 'add', 'table', 'inet', 'lossy');
    inBox('nft', 'add', 'chain', 'inet', 'lossy', 'out', '{ type filter hook output priority 0; }');
    writeFileSync(this.chromium, `#!/bin/sh\nexec ip netns exec ${PHONE} ${EXECUTABLE} "$@"\n`);
    chmodSync(this.chromium, 0o755);
  }

  /** Megabits a second from the box to the phone. */
  rate(mbit: number): void {
    inBox(
      'tc',
      'qdisc',
      'replace',
      'dev',
      'phone',
      'root',
      'tbf',
      'rate',
      `${mbit}mbit`,
      'burst',
      '32kb',
      'latency',
      '400ms',
    );
  }

  /** Of the packets from the box to the phone, this share is lost. */
  loss(percent: number): void {
    inBox('nft', 'flush', 'chain', 'inet', 'lossy', 'out');
    if (percent > 0)
      inBox(
        'nft',
        'add',
        'rule',
        'inet',
        'lossy',
        'out',
        'oifname',
        'phone',
        'meta',
        'l4proto',
        'udp',
        'numgen',
        'random',
        'mod',
        '100',
        '<',
        `${percent}`,
        'drop',
      );
  }

  /** What goes by UDP comes this much later, and up to so much more in any order; of the box's packets this share is lost. */
  late(delayMs: number, jitterMs: number, lossPercent: number): void {
    this.#way?.stdin?.write(`${delayMs} ${jitterMs} ${lossPercent}\n`);
  }

  /** Nothing goes from one to the other, or all does again. */
  cut(isCut: boolean): void {
    run('ip', '-n', BOX, 'link', 'set', 'phone', isCut ? 'down' : 'up');
  }

  close(): void {
    this.#way?.stdin?.end();
    for (const name of [PHONE, BOX]) run('ip', 'netns', 'delete', name);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
