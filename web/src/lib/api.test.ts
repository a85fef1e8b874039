// The client: addresses, bodies, failures, and that nothing of the page goes round it.
import { describe, expect, it, vi } from 'vitest';
import { Api, ApiError, Unreachable, words } from './api';
import { paramsOf, url } from './contract';
import { t } from './en';

const json = (body: unknown, status = 200, headers: Record<string, string> = {}) =>
  new Response(JSON.stringify(body), {
    status,
    headers: { 'Content-Type': 'application/problem+json', ...headers },
  });

function answering(answer: () => Response | Promise<Response>) {
  const fetch = vi.fn((_address: string, _init: RequestInit) => Promise.resolve(answer()));
  return { api: new Api(fetch), fetch };
}

describe('addresses', () => {
  it('fill in and encode parameters, and leave out what is not set', () => {
    const path = '/api/v1/cameras/{camera}/snapshot.jpg';
    expect(url(path, { path: { camera: 'a/b' }, query: { at: undefined, width: 480 } })).toBe(
      '/api/v1/cameras/a%2Fb/snapshot.jpg?width=480',
    );
    expect(url('/api/v1/ca.pem')).toBe('/api/v1/ca.pem');
  });

  it('are read back by the path they must be one of', () => {
    expect(paramsOf('/api/v1/live/{lease}', '/api/v1/live/0f%2F')).toEqual({ lease: '0f/' });
    expect(paramsOf('/api/v1/live/{lease}', '/api/v1/live/0f/keepalive')).toBeNull();
    expect(paramsOf('/api/v1/live/{lease}', 'https://elsewhere/api/v1/live/0f')).toBeNull();
  });
});

describe('calls', () => {
  it('send JSON and give JSON', async () => {
    const { api, fetch } = answering(() => json({ name: 'anna' }, 201));
    const body = { name: 'anna', password: 'a long enough one', role: 'admin' } as const;
    expect(await api.post('/api/v1/users', { body })).toEqual({ name: 'anna' });
    const [address, init] = fetch.mock.calls[0]!;
    expect([address, init.method, init.body]).toEqual(['/api/v1/users', 'POST', JSON.stringify(body)]);
    expect(init.headers).toEqual({ 'Content-Type': 'application/json' });
  });

  it('send other content by its type, and give nothing for 204', async () => {
    const { api, fetch } = answering(() => new Response(null, { status: 204 }));
    const answer = await api.patch('/api/v1/live/{lease}', {
      path: { lease: 'f0' },
      content: { 'application/trickle-ice-sdpfrag': 'a=x' },
      headers: { 'If-Match': '"1"' },
    });
    expect(answer).toBeUndefined();
    const headers = { 'If-Match': '"1"', 'Content-Type': 'application/trickle-ice-sdpfrag' };
    expect(fetch.mock.calls[0]![1]).toMatchObject({ method: 'PATCH', body: 'a=x', headers });
  });

  it('turn a problem into a sentence, with the wait it names', async () => {
    const { api } = answering(() =>
      json({ detail: 'the index cannot be read', status: 503 }, 503, { 'Retry-After': '7' }),
    );
    const error = await api.get('/api/v1/status').catch((e: unknown) => e);
    expect(error).toBeInstanceOf(ApiError);
    expect(words(error)).toBe('The index cannot be read.');
    expect((error as ApiError).retryAfterS).toBe(7);
  });

  it('say that the box is out of reach, but let an abort be one', async () => {
    const lost = answering(() => Promise.reject(new TypeError('fetch failed')));
    await expect(lost.api.get('/api/v1/me')).rejects.toBeInstanceOf(Unreachable);
    const aborted = answering(() => Promise.reject(new DOMException('aborted', 'AbortError')));
    await expect(aborted.api.get('/api/v1/me')).rejects.toBeInstanceOf(DOMException);
  });

  it('end the session on 401, unless the answer is about a password', async () => {
    const { api } = answering(() => new Response('no', { status: 401 }));
    api.onSignedOut = vi.fn();
    const body = { username: 'anna', password: 'wrong', device_name: 'here' };
    const error = await api.post('/api/v1/session', { body, keepSession: true }).catch((e: unknown) => e);
    expect(api.onSignedOut).not.toHaveBeenCalled();
    expect(words(error)).toBe(`${t.error.status(401)}.`);
    await api.get('/api/v1/me').catch(() => {});
    expect(api.onSignedOut).toHaveBeenCalledOnce();
  });
});

it('knows only what the document knows', () => {
  // Checked by the compiler: each line must be an error there, else `npm run check` fails.
  const never = (api: Api) => {
    // @ts-expect-error no such path
    void api.get('/api/v1/camera');
    // @ts-expect-error no such method of this path
    void api.delete('/api/v1/users');
    // @ts-expect-error a parameter is missing
    void api.get('/api/v1/cameras/{camera}');
    // @ts-expect-error a parameter of another name
    void api.delete('/api/v1/users/{name}', { path: { user: 'anna' } });
    // @ts-expect-error no such query
    void api.get('/api/v1/events', { query: { before: '2026' } });
    // @ts-expect-error a query that is required
    url('/api/v1/cameras/{camera}/export.mp4', { path: { camera: 'door' } });
    // @ts-expect-error a body that is incomplete
    void api.post('/api/v1/users', { body: { name: 'anna' } });
    // @ts-expect-error content of another type
    void api.patch('/api/v1/live/{lease}', { path: { lease: '' }, content: { 'text/plain': '' } });
    // @ts-expect-error the answer has no such field
    void api.get('/api/v1/me').then((me) => me.nickname);
  };
  expect(never).toBeTypeOf('function');
});

it('is the only way to the box', () => {
  const sources = import.meta.glob<string>('../**/*.{ts,svelte}', {
    eager: true,
    query: '?raw',
    import: 'default',
  });
  // Each thing that reaches the network, with the one file that may.
  const doors: [RegExp, string][] = [
    [/\bfetch\((?!\))/, './api.ts'],
    [/new XMLHttpRequest/, './upload.ts'],
    [/new EventSource/, './notices.svelte.ts'],
    // Paths in quotes are checked by the compiler; addresses put together by hand would not be.
    [/[`"]\/api/, 'none'],
  ];
  const found = Object.entries(sources).flatMap(([name, text]) =>
    doors
      .filter(([door, place]) => door.test(text) && name !== place && !name.endsWith('.test.ts'))
      .map(([door]) => `${name}: ${door.source}`),
  );
  expect(Object.keys(sources).length).toBeGreaterThan(50);
  expect(found).toEqual([]);
});
