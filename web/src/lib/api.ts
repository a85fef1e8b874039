// One way to ask the box: typed by path and method, problems as ApiError, a lost box as Unreachable.
import type { paths } from '../../generated/openapi';
import {
  type Answer,
  type Inputs,
  type Method,
  type Operation,
  type PathOf,
  type Rest,
  fill,
} from './contract';
import { t } from './en';
import { clockTime, toMs } from './time';
import type { Problem } from './types';

/** The box answered, and the answer is no. `message` is a sentence for people. */
export class ApiError extends Error {
  constructor(
    readonly problem: Problem,
    readonly retryAfterS: number | null = null,
  ) {
    super(said(problem));
  }
  get status(): number {
    return this.problem.status;
  }
}

/** The box's own sentence; who is cut off is told the time as it is here. */
function said(problem: Problem): string {
  const { cut_off, detail, title, status } = problem;
  if (cut_off) return t.live.cutOff(cut_off.by, clockTime(toMs(cut_off.until)));
  return sentence(detail || title || t.error.status(status));
}

/** No answer at all: the box is off, or the network between is. */
export class Unreachable extends Error {
  constructor() {
    super(t.error.unreachable);
  }
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

interface Options {
  signal?: AbortSignal;
  headers?: Record<string, string>;
  /** The request outlives the page. */
  keepalive?: boolean;
  /** A 401 here is an answer (a wrong password), not the end of the session. */
  keepSession?: boolean;
}

type Call<M extends Method, P extends PathOf<M>> = Inputs<Operation<M, P>> & Options;
type Json<M extends Method, P extends PathOf<M>> = Promise<Answer<Operation<M, P>>>;
type Fetch = (address: string, init: RequestInit) => Promise<Response>;

/** Every call of the page: `api.get('/api/v1/events/{event}', { path: { event } })`. */
export class Api {
  /** Called whenever the box answers 401 to a request that needs a session. */
  onSignedOut: () => void = () => {};

  constructor(private readonly fetch: Fetch) {}

  get<P extends PathOf<'get'>>(path: P, ...[call]: Rest<Call<'get', P>>): Json<'get', P> {
    return this.#json('get', path, call);
  }

  post<P extends PathOf<'post'>>(path: P, ...[call]: Rest<Call<'post', P>>): Json<'post', P> {
    return this.#json('post', path, call);
  }

  put<P extends PathOf<'put'>>(path: P, ...[call]: Rest<Call<'put', P>>): Json<'put', P> {
    return this.#json('put', path, call);
  }

  patch<P extends PathOf<'patch'>>(path: P, ...[call]: Rest<Call<'patch', P>>): Json<'patch', P> {
    return this.#json('patch', path, call);
  }

  delete<P extends PathOf<'delete'>>(path: P, ...[call]: Rest<Call<'delete', P>>): Json<'delete', P> {
    return this.#json('delete', path, call);
  }

  /** The whole answer, for what is not JSON. Throws ApiError or Unreachable for everything that is not 2xx. */
  open<M extends Method, P extends PathOf<M>>(
    method: M,
    path: P,
    ...[call]: Rest<Call<M, P>>
  ): Promise<Response> {
    return this.#send(method, path, call as Loose | undefined);
  }

  async #json<T>(method: Method, path: string, call: unknown): Promise<T> {
    const response = await this.#send(method, path, call as Loose | undefined);
    return (response.status === 204 ? undefined : await response.json()) as T;
  }

  async #send(method: Method, path: string, call: Loose = {}): Promise<Response> {
    const { signal, keepalive, keepSession } = call;
    const init: RequestInit = { method: method.toUpperCase(), credentials: 'same-origin' };
    if (signal) init.signal = signal;
    if (keepalive) init.keepalive = true;
    const [[type, body] = []] = Object.entries(call.content ?? {});
    if (type) Object.assign(init, { body, headers: { ...call.headers, 'Content-Type': type } });
    else if (call.body !== undefined) {
      const headers = { ...call.headers, 'Content-Type': 'application/json' };
      Object.assign(init, { body: JSON.stringify(call.body), headers });
    } else if (call.headers) init.headers = call.headers;

    let response: Response;
    try {
      response = await this.fetch(fill(path, call), init);
    } catch (error) {
      if (isAbort(error)) throw error;
      throw new Unreachable();
    }
    if (response.ok) return response;
    if (response.status === 401 && !keepSession) this.onSignedOut();
    throw new ApiError(await readProblem(response), Number(response.headers.get('Retry-After')) || null);
  }
}

/** A call as it is once its types are checked. */
interface Loose extends Options {
  path?: unknown;
  query?: unknown;
  body?: unknown;
  content?: Record<string, BodyInit>;
}

async function readProblem(response: Response): Promise<Problem> {
  const isJson = /json/.test(response.headers.get('Content-Type') ?? '');
  const body: Partial<Problem> = isJson ? await response.json().catch(() => ({})) : {};
  return { ...body, status: response.status };
}

export const api = new Api((address, init) => fetch(address, init));

const PROBE: keyof paths = '/api/v1/trust-probe';
const PROBE_WITHIN_MS = 4000;

/** Whether the box answers under another of its addresses, `https://host:port`: only a browser that trusts its certificate lets it. */
export async function answersAt(origin: string): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(PROBE_WITHIN_MS);
    const answer = await fetch(origin + PROBE, {
      mode: 'cors',
      credentials: 'omit',
      cache: 'no-store',
      signal,
    });
    return answer.ok;
  } catch {
    return false;
  }
}
