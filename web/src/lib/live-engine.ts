// What turns a live playlist of the box into pictures: hls.js where the browser has Media Source, else the browser's own HLS.
import type HlsType from 'hls.js';
import type { StreamChoice } from './types';
import { urls } from './urls';

export interface LiveEngine {
  destroy(): void;
}

export interface LiveEngineHandlers {
  /** It broke off and does not go on by itself. */
  onFailure(): void;
  /** The connection does not carry it: the picture stands now and then. */
  onStall(): void;
}

/** Opens a camera's live stream in a video element. */
export type OpenLiveEngine = (
  video: HTMLVideoElement,
  camera: string,
  stream: StreamChoice,
  handlers: LiveEngineHandlers,
) => LiveEngine;

export const openLiveEngine: OpenLiveEngine = (video, camera, stream, handlers) => {
  const address = urls.live(camera, stream);
  let engine: LiveEngine | null = null;
  let isOver = false;
  const open = async () => {
    const { default: Hls } = await import('hls.js/light');
    if (isOver) return;
    engine = Hls.isSupported()
      ? openHls(Hls, video, address, handlers)
      : openNative(video, address, handlers);
  };
  open().catch(() => handlers.onFailure());
  return {
    destroy() {
      isOver = true;
      engine?.destroy();
    },
  };
};

function openHls(
  Hls: typeof HlsType,
  video: HTMLVideoElement,
  address: string,
  { onFailure, onStall }: LiveEngineHandlers,
): LiveEngine {
  const hls = new Hls({
    enableWorker: false,
    lowLatencyMode: true,
    // What was shown is not looked at again: the timeline has it.
    backBufferLength: 4,
    maxBufferLength: 8,
    // Who fell behind catches up without being seen to hurry.
    maxLiveSyncPlaybackRate: 1.1,
    maxBufferHole: 0.5,
  });
  let hasRecovered = false;
  hls.on(Hls.Events.ERROR, (_, data) => {
    if (data.details === Hls.ErrorDetails.BUFFER_STALLED_ERROR) onStall();
    if (!data.fatal) return;
    if (data.type === Hls.ErrorTypes.MEDIA_ERROR && !hasRecovered) {
      hasRecovered = true;
      hls.recoverMediaError();
      return;
    }
    onFailure();
  });
  hls.loadSource(address);
  hls.attachMedia(video);
  return { destroy: () => hls.destroy() };
}

function openNative(
  video: HTMLVideoElement,
  address: string,
  { onFailure, onStall }: LiveEngineHandlers,
): LiveEngine {
  video.addEventListener('error', onFailure);
  video.addEventListener('waiting', onStall);
  video.src = address;
  return {
    destroy() {
      video.removeEventListener('error', onFailure);
      video.removeEventListener('waiting', onStall);
      video.removeAttribute('src');
      video.load();
    },
  };
}
