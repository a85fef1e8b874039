// A real Janus with its VideoRoom and streaming plugins, and Debian's simple-whip-server before it; a page that watches what Janus has.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Page } from '@playwright/test';
import { freePort } from './box';

const WHIP = resolve(import.meta.dirname, '../../target/tools/whip');
export const ROOM = 1234;
export const STREAM = 99;

/** Why there is no Janus here; nothing where there is one. */
export function lacks(): string | undefined {
  if (spawnSync('janus', ['--version']).error) return 'janus is not installed';
  return existsSync(join(WHIP, 'node_modules'))
    ? undefined
    : 'simple-whip-server is not in target/tools/whip';
}

export interface Janus {
  api: string;
  /** Where the box pushes to. */
  whip: string;
  /** Ends both, as a power cut would. */
  down(): Promise<void>;
  /** Starts both again as they were. */
  up(): Promise<void>;
  stop(): Promise<void>;
}

/** `rtsp` is what the streaming plugin pulls. */
export async function startJanus(
  token: string,
  rtsp?: { url: string; user: string; password: string },
): Promise<Janus> {
  const dir = mkdtempSync(join(tmpdir(), 'perch-janus-'));
  const [http, ws, rest] = await Promise.all([freePort(), freePort(), freePort()]);
  const [conf, src] = [join(dir, 'conf'), join(dir, 'src')];
  mkdirSync(conf);
  const plugins = '/usr/lib/x86_64-linux-gnu/janus';
  const quiet = ['loggers', 'events'].map((kind) => `${kind}_folder = "${dir}"`).join('\n');
  const files = {
    'janus.jcfg': `general: {
configs_folder = "${conf}"
plugins_folder = "${plugins}/plugins"
transports_folder = "${plugins}/transports"
${quiet}
debug_level = 3
}
plugins: { disable = "libjanus_audiobridge.so,libjanus_duktape.so,libjanus_lua.so,libjanus_sip.so,libjanus_nosip.so,libjanus_recordplay.so,libjanus_voicemail.so,libjanus_textroom.so,libjanus_videocall.so,libjanus_echotest.so" }
transports: { disable = "libjanus_rabbitmq.so,libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so" }
`,
    'janus.transport.http.jcfg': `general: { http = true
port = ${http}
ip = "127.0.0.1"
https = false }`,
    'janus.transport.websockets.jcfg': `general: { ws = true
ws_port = ${ws}
ws_ip = "127.0.0.1"
wss = false }`,
    'janus.plugin.videoroom.jcfg': `room-${ROOM}: { description = "Cameras"
publishers = 6
bitrate = 0
videocodec = "h264"
fir_freq = 2 }`,
    'janus.plugin.streaming.jcfg': rtsp
      ? `front: { type = "rtsp"
id = ${STREAM}
audio = false
video = true
videopt = 96
videocodec = "h264"
videofmtp = "profile-level-id=42e01f;packetization-mode=1"
url = "${rtsp.url}"
rtsp_user = "${rtsp.user}"
rtsp_pwd = "${rtsp.password}"
rtsp_reconnect_delay = 2 }`
      : '',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(conf, name), text);
  cpSync(join(WHIP, 'src'), src, { recursive: true });
  writeFileSync(
    join(src, 'config.js'),
    `module.exports = { janus: { address: 'ws://127.0.0.1:${ws}' }, port: ${rest}, rest: '/whip', allowTrickle: true, iceServers: [] };`,
  );
  let children: ChildProcess[] = [];
  const api = `http://127.0.0.1:${http}/janus`;
  const answers = async (url: string) => {
    for (let tries = 0; tries < 150; tries++) {
      if (
        await fetch(url).then(
          (answer) => answer.ok,
          () => false,
        )
      )
        return;
      await new Promise((done) => setTimeout(done, 100));
    }
    throw new Error(`${url} does not answer`);
  };
  const up = async () => {
    children = [spawn('janus', ['-F', conf], { stdio: 'ignore' })];
    await answers(`${api}/info`);
    const env = { ...process.env, NODE_PATH: join(WHIP, 'node_modules') };
    children.push(spawn('node', ['server.js'], { cwd: src, env, stdio: 'ignore' }));
    await answers(`http://127.0.0.1:${rest}/whip/healthcheck`);
    const body = JSON.stringify({ id: 'front', room: ROOM, token });
    const made = await fetch(`http://127.0.0.1:${rest}/whip/create`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    if (!made.ok) throw new Error(`no endpoint: ${made.status}`);
  };
  const down = async () => {
    await Promise.all(
      children.map((child) => {
        const ended = new Promise((done) => child.once('exit', done));
        child.kill('SIGKILL');
        return ended;
      }),
    );
    children = [];
  };
  await up();
  return {
    api,
    whip: `http://:${token}@127.0.0.1:${rest}/whip/endpoint/front`,
    down,
    up,
    stop: async () => {
      await down();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** What Janus shows, decoded in a page: waits for so many pictures, and says how large they are. */
export function watchJanus(
  page: Page,
  api: string,
  what: 'room' | 'stream',
): Promise<{ frames: number; width: number; height: number }> {
  return page.evaluate(
    async ({ api, what, room, stream }) => {
      const ask = async (path: string, body: object) => {
        const answer = await fetch(`${api}${path}`, {
          method: 'POST',
          body: JSON.stringify({ transaction: Math.random().toString(36), ...body }),
        });
        return answer.json();
      };
      const session = (await ask('', { janus: 'create' })).data.id;
      const attach = async (plugin: string) =>
        (await ask(`/${session}`, { janus: 'attach', plugin: `janus.plugin.${plugin}` })).data.id;
      const handle = await attach(what === 'room' ? 'videoroom' : 'streaming');
      const send = (body: object, jsep?: RTCSessionDescriptionInit) =>
        ask(`/${session}/${handle}`, { janus: 'message', body, jsep });
      if (what === 'room') {
        let publishers: { id: number }[] = [];
        const asks = await attach('videoroom');
        for (let tries = 0; tries < 100 && publishers.length === 0; tries++) {
          const body = { request: 'listparticipants', room };
          const listed = await ask(`/${session}/${asks}`, { janus: 'message', body });
          publishers = (listed.plugindata?.data?.participants ?? []).filter(
            (one: { publisher: boolean }) => one.publisher,
          );
          await new Promise((done) => setTimeout(done, 200));
        }
        if (publishers.length === 0) throw new Error('nobody publishes');
        await send({ request: 'join', room, ptype: 'subscriber', streams: [{ feed: publishers[0]!.id }] });
      } else {
        await send({ request: 'watch', id: stream });
      }
      const peer = new RTCPeerConnection();
      const video = document.createElement('video');
      video.muted = true;
      document.body.append(video);
      peer.ontrack = ({ track, streams }) => {
        if (track.kind === 'video') video.srcObject = streams[0] ?? new MediaStream([track]);
        void video.play();
      };
      for (let tries = 0; tries < 60 && !peer.remoteDescription; tries++) {
        const event = await (await fetch(`${api}/${session}?maxev=1&rid=${Date.now()}`)).json();
        if (!event.jsep) continue;
        await peer.setRemoteDescription(event.jsep);
        await peer.setLocalDescription(await peer.createAnswer());
        await new Promise<void>((done) => {
          if (peer.iceGatheringState === 'complete') done();
          else peer.onicegatheringstatechange = () => peer.iceGatheringState === 'complete' && done();
        });
        await send(
          what === 'room' ? { request: 'start', room } : { request: 'start' },
          peer.localDescription!,
        );
      }
      for (let tries = 0; tries < 200; tries++) {
        const frames = video.getVideoPlaybackQuality().totalVideoFrames;
        if (frames >= 30) {
          const seen = { frames, width: video.videoWidth, height: video.videoHeight };
          peer.close();
          video.remove();
          return seen;
        }
        await new Promise((done) => setTimeout(done, 100));
      }
      throw new Error(
        `${peer.connectionState}, ${video.getVideoPlaybackQuality().totalVideoFrames} pictures`,
      );
    },
    { api, what, room: ROOM, stream: STREAM },
  );
}
