// Reading a pairing code from a QR code: with the browser's own BarcodeDetector where it has one that reads them, else with a reader that
// is loaded only when somebody scans.

import { OTP_DIGITS } from './box-page';

/** What stands in the codes that the picture shows now. */
type Reader = (video: HTMLVideoElement) => Promise<string[]>;

interface Detector {
  detect(source: HTMLVideoElement): Promise<{ rawValue: string }[]>;
}
interface DetectorClass {
  new (options: { formats: string[] }): Detector;
  getSupportedFormats(): Promise<string[]>;
}

/** Whether there may be a camera to scan with. */
export const canScan = (): boolean => Boolean(navigator.mediaDevices?.getUserMedia);

async function reader(): Promise<Reader> {
  const { BarcodeDetector } = globalThis as { BarcodeDetector?: DetectorClass };
  // Some systems have the class and no formats.
  const formats = (await BarcodeDetector?.getSupportedFormats().catch(() => [])) ?? [];
  if (BarcodeDetector && formats.includes('qr_code')) {
    const detector = new BarcodeDetector({ formats: ['qr_code'] });
    return async (video) => (await detector.detect(video)).map((found) => found.rawValue);
  }
  const { read } = await import('./qr-reader');
  return read;
}

/** The digits in a pairing address's `#pair=` or in bare text. */
export function codeIn(text: string): string | null {
  const code = /[#&]pair=(\d+)\b/.exec(text)?.[1] ?? /^\s*(\d+)\s*$/.exec(text)?.[1];
  return code?.length === OTP_DIGITS ? code : null;
}

const LOOK_MS = 250;

/** Shows the camera in `video` and looks for a code until one is found or the returned function is called. */
export function scan(
  video: HTMLVideoElement,
  onFound: (code: string) => void,
  onRefused: (why: 'camera' | 'reader') => void,
): () => void {
  let stream: MediaStream | null = null;
  let timer: ReturnType<typeof setInterval> | undefined;
  let isOver = false;
  const stop = () => {
    isOver = true;
    clearInterval(timer);
    stream?.getTracks().forEach((track) => track.stop());
  };
  const begin = async () => {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
    if (isOver) return stop();
    video.srcObject = stream;
    await video.play();
  };
  const look = async () => {
    await begin();
    const read = await reader().catch(() => null);
    if (isOver) return;
    if (!read) {
      stop();
      return onRefused('reader');
    }
    let isLooking = false;
    timer = setInterval(async () => {
      if (isLooking) return;
      isLooking = true;
      const found = await read(video).catch(() => []);
      isLooking = false;
      const code = found.map(codeIn).find((c) => c !== null);
      if (!code || isOver) return;
      stop();
      onFound(code);
    }, LOOK_MS);
  };
  look().catch(() => {
    if (isOver) return;
    stop();
    onRefused('camera');
  });
  return stop;
}
