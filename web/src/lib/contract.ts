// The HTTP contract as types: which paths there are, what each takes and what it answers. All of it is read from the
// box's OpenAPI document (generated/openapi.ts), so a call that the box does not know does not compile.
import type { paths } from '../../generated/openapi';

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';

/** The paths that know a method. */
export type PathOf<M extends Method> = {
  [P in keyof paths]: paths[P] extends Record<M, object> ? P : never;
}[keyof paths];

export type Operation<M extends Method, P extends PathOf<M>> =
  paths[P] extends Record<M, infer O> ? O : never;

type PathParams<O> = O extends { parameters: { path: infer P } } ? P : never;

/** Optional parameters may also be given as undefined. */
type Loose<Q> = { [K in keyof Q]: object extends Pick<Q, K> ? Q[K] | undefined : Q[K] };

type PathPart<O> = [PathParams<O>] extends [never] ? { path?: never } : { path: PathParams<O> };

type QueryPart<O> = O extends { parameters: { query: infer Q extends object } }
  ? { query: Loose<Q> }
  : O extends { parameters: { query?: infer Q extends object } }
    ? { query?: Loose<Q> }
    : { query?: never };

/** JSON goes as `body`; anything else as `content`, by its media type. */
type BodyPart<O> = O extends { requestBody: { content: infer C } }
  ? C extends { 'application/json': infer B }
    ? { body: B; content?: never }
    : { body?: never; content: { [T in keyof C]: BodyInit } }
  : { body?: never; content?: never };

/** What the address of a call is made of. */
export type Address<O> = PathPart<O> & QueryPart<O>;
/** All that a call takes. */
export type Inputs<O> = Address<O> & BodyPart<O>;

type Responses<O> = O extends { responses: infer R } ? R[keyof R & (200 | 201 | 202 | 204)] : never;

/** The JSON that a call answers; nothing for 204. */
export type Answer<O> =
  Responses<O> extends infer R
    ? R extends { content: infer C extends object }
      ? 'application/json' extends keyof C
        ? C['application/json']
        : never
      : undefined
    : never;

/** A last argument that may be left out when nothing in it is required. */
export type Rest<T> = object extends T ? [inputs?: T] : [inputs: T];

interface Parts {
  path?: unknown;
  query?: unknown;
}

/** The address of a path with its parameters filled in; what is not set is left out of the query. */
export function fill(path: string, { path: params = {}, query = {} }: Parts = {}): string {
  const values = params as Record<string, unknown>;
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(values[name])));
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query as Record<string, unknown>)) {
    if (value !== null && value !== undefined && value !== '') search.set(key, String(value));
  }
  const text = search.toString();
  return text ? `${filled}?${text}` : filled;
}

/** The address of something that the browser itself gets: an image, a link, a playlist, the event stream. */
export function url<P extends PathOf<'get'>>(
  path: P,
  ...[inputs]: Rest<Address<Operation<'get', P>>>
): string {
  return fill(path, inputs as Parts | undefined);
}

/** The parameters of an address that the box gave, by the path it must be one of; null when it is another's. */
export function paramsOf<P extends PathOf<'patch'>>(
  path: P,
  address: string,
): PathParams<Operation<'patch', P>> | null {
  const names: string[] = [];
  const pattern = path.replace(/\{(\w+)\}/g, (_, name: string) => (names.push(name), '([^/]+)'));
  const found = new RegExp(`^${pattern}$`).exec(address);
  if (!found) return null;
  const values = names.map((name, index) => [name, decodeURIComponent(found[index + 1]!)]);
  return Object.fromEntries(values) as PathParams<Operation<'patch', P>>;
}
