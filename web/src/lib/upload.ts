// Sends a file with its progress, which fetch() cannot tell. Failures are the same as of `api`.
import { ApiError, Unreachable } from './api';
import type { Answer, Operation, PathOf } from './contract';
import { t } from './en';
import type { Problem } from './types';

/** The paths that take a file as it is. */
type UploadPath = {
  [P in PathOf<'post'>]: Operation<'post', P> extends {
    requestBody: { content: { 'application/octet-stream': unknown } };
  }
    ? P
    : never;
}[PathOf<'post'>];

export interface Upload<T> {
  done: Promise<T>;
  abort: () => void;
}

/** Posts `file` as it is. `progress` is given the share that went, 0..1. */
export function upload<P extends UploadPath>(
  path: P,
  file: Blob,
  progress: (share: number) => void,
): Upload<Answer<Operation<'post', P>>> {
  const request = new XMLHttpRequest();
  const done = new Promise<Answer<Operation<'post', P>>>((resolve, reject) => {
    request.upload.addEventListener('progress', (event) => progress(event.loaded / Math.max(event.total, 1)));
    request.addEventListener('load', () => {
      const body: unknown = parse(request.responseText);
      if (request.status >= 200 && request.status < 300) resolve(body as Answer<Operation<'post', P>>);
      else reject(new ApiError({ ...(body as Partial<Problem>), status: request.status }));
    });
    request.addEventListener('error', () => reject(new Unreachable()));
    request.addEventListener('abort', () => reject(new DOMException(t.update.stopped, 'AbortError')));
  });
  request.open('POST', path);
  request.setRequestHeader('Content-Type', 'application/octet-stream');
  request.send(file);
  return { done, abort: () => request.abort() };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}
