// One way to ask the box: JSON in and out, problems as ApiError, a lost box as Unreachable.
import { t } from './en';
import type { Problem } from './types';

/** The box answered, and the answer is no. `message` is a sentence for people. */
export class ApiError extends Error {
  constructor(
    readonly problem: Problem,
    readonly retryAfterS: number | null = null,
  ) {
    super(sentence(problem.detail || problem.title || t.error.status(problem.status)));
  }
  get status(): number {
    return this.problem.status;
  }
}

/** No answer at all: the box is off, or the network between is. */
export class Unreachable extends Error {
  constructor() {
    super(t.error.unreachable);
  }
}

type SignedOutListener = () => void;
let onSignedOut: SignedOutListener = () => {};

/** Called whenever the box answers 401 to a request that needs a session. */
export function setSignedOutListener(listener: SignedOutListener): void {
  onSignedOut = listener;
}

/** Makes a capital first letter and a full stop, so that details of all sources read alike. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  if (!trimmed) return '';
  const upper = trimmed[0]!.toUpperCase() + trimmed.slice(1);
  return /[.!?]$/.test(upper) ? upper : `${upper}.`;
}

/** The words to show for any failure. */
export function words(error: unknown): string {
  return error instanceof ApiError || error instanceof Unreachable ? error.message : t.error.unexpected;
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

interface Options extends RequestInit {
  /** A 401 here is an answer (a wrong password), not the end of the session. */
  keepSession?: boolean;
}

/** fetch() that throws ApiError or Unreachable for everything that is not 2xx. */
export async function request(path: string, options: Options = {}): Promise<Response> {
  const { keepSession, ...init } = options;
  let response: Response;
  try {
    response = await fetch(path, { credentials: 'same-origin', ...init });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Unreachable();
  }
  if (response.ok) return response;
  if (response.status === 401 && !keepSession) onSignedOut();
  throw new ApiError(await readProblem(response), Number(response.headers.get('Retry-After')) || null);
}

async function readProblem(response: Response): Promise<Problem> {
  const isJson = /json/.test(response.headers.get('Content-Type') ?? '');
  const body: Partial<Problem> = isJson ? await response.json().catch(() => ({})) : {};
  return { ...body, status: response.status };
}

async function send<T>(method: string, path: string, body?: unknown, options: Options = {}): Promise<T> {
  const init: Options = { ...options, method };
  if (body !== undefined) {
    init.body = JSON.stringify(body);
    init.headers = { 'Content-Type': 'application/json' };
  }
  const response = await request(path, init);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const api = {
  get: <T>(path: string, options?: Options) => send<T>('GET', path, undefined, options),
  post: <T>(path: string, body?: unknown, options?: Options) => send<T>('POST', path, body, options),
  put: <T>(path: string, body?: unknown, options?: Options) => send<T>('PUT', path, body, options),
  delete: <T>(path: string) => send<T>('DELETE', path),
};

/** `path?a=b`, leaving out what is not set. */
export function withQuery(path: string, query: Record<string, string | number | null | undefined>): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== '') params.set(key, String(value));
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}
