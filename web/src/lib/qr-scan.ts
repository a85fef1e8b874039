// Reading a pairing code from a QR code with the browser's own BarcodeDetector, where it has one.

import { OTP_DIGITS } from './box-page';

interface Detector {
  detect(source: HTMLVideoElement): Promise<{ rawValue: string }[]>;
}
type DetectorClass = new (options: { formats: string[] }) => Detector;

const detectorClass = (): DetectorClass | undefined =>
  (globalThis as { BarcodeDetector?: DetectorClass }).BarcodeDetector;

export const canScan = (): boolean => Boolean(detectorClass() && navigator.mediaDevices?.getUserMedia);

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
  onRefused: () => void,
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
    const detector = new (detectorClass()!)({ formats: ['qr_code'] });
    timer = setInterval(async () => {
      const found = await detector.detect(video).catch(() => []);
      const code = found.map((f) => codeIn(f.rawValue)).find((c) => c !== null);
      if (!code || isOver) return;
      stop();
      onFound(code);
    }, LOOK_MS);
  };
  begin().catch(() => {
    if (isOver) return;
    stop();
    onRefused();
  });
  return stop;
}
