// One minute of fragmented MP4 and a few stills, made with ffmpeg, standing in for everything that was ever recorded.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folder = join(tmpdir(), 'perch-mock');
const CLIP_MS = 60_000;

export function prepareMedia() {
  mkdirSync(folder, { recursive: true });
  const clip = join(folder, 'clip.mp4');
  if (!existsSync(clip)) {
    const source = [
      '-f',
      'lavfi',
      '-i',
      'testsrc2=s=640x360:r=15:d=60',
      '-f',
      'lavfi',
      '-i',
      'sine=330:d=60',
    ];
    const codecs = [
      '-c:v',
      'libx264',
      '-preset',
      'ultrafast',
      '-g',
      '15',
      '-pix_fmt',
      'yuv420p',
      '-c:a',
      'libopus',
    ];
    const flags = ['-movflags', '+frag_keyframe+empty_moov+default_base_moof', clip];
    execFileSync('ffmpeg', ['-v', 'error', '-y', ...source, ...codecs, ...flags]);
    execFileSync('ffmpeg', ['-v', 'error', '-y', '-i', clip, '-r', '1/6', join(folder, 'still-%d.jpg')]);
  }
  const data = readFileSync(clip);
  return {
    data,
    ...fragmentsOf(data),
    still: (n) => readFileSync(join(folder, `still-${1 + (Math.abs(n) % 10)}.jpg`)),
  };
}

/** Walks the top-level boxes: everything before the first moof is the init part, each moof+mdat a fragment of one second. */
function fragmentsOf(data) {
  const fragments = [];
  let initSize = 0;
  for (let at = 0; at < data.length;) {
    const size = data.readUInt32BE(at);
    const type = data.toString('latin1', at + 4, at + 8);
    if (type === 'moof') {
      initSize ||= at;
      fragments.push({ offset: at, size });
    } else if (type === 'mdat') {
      fragments.at(-1).size += size;
    }
    at += size;
  }
  return { initSize, fragments };
}

/** A playlist over minutes of the same clip, cut at the recorded spans. */
export function playlist(media, spans, fromMs, toMs) {
  const out = [
    '#EXTM3U',
    '#EXT-X-VERSION:7',
    '#EXT-X-TARGETDURATION:2',
    '#EXT-X-MEDIA-SEQUENCE:0',
    '#EXT-X-PLAYLIST-TYPE:VOD',
    '#EXT-X-INDEPENDENT-SEGMENTS',
  ];
  let isFirst = true;
  for (let minute = Math.floor(fromMs / CLIP_MS) * CLIP_MS; minute < toMs; minute += CLIP_MS) {
    const kept = media.fragments
      .map((fragment, i) => ({ ...fragment, ms: minute + i * 1000 }))
      .filter(
        (f) =>
          f.ms + 1000 > fromMs &&
          f.ms < toMs &&
          spans.some((s) => Date.parse(s.start) <= f.ms && f.ms < Date.parse(s.end)),
      );
    if (kept.length === 0) continue;
    const uri = `segments/${minute / CLIP_MS}.mp4`;
    if (!isFirst) out.push('#EXT-X-DISCONTINUITY');
    isFirst = false;
    out.push(`#EXT-X-MAP:URI="${uri}",BYTERANGE="${media.initSize}@0"`);
    out.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(kept[0].ms).toISOString()}`);
    for (const f of kept) out.push('#EXTINF:1.000000,', `#EXT-X-BYTERANGE:${f.size}@${f.offset}`, uri);
  }
  return isFirst ? null : [...out, '#EXT-X-ENDLIST', ''].join('\n');
}
