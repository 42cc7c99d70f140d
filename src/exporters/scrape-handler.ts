// One handler for the servers that people have. Each framework hands over something else, which tells it from the others.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { inResponseTurn } from './response-turn.ts';
import type { FetchRequest } from './scrape-fetch.ts';

/** What Fastify gives to a route. */
export interface FastifyRequestLike {
  readonly raw: IncomingMessage;
}
export interface FastifyReplyLike {
  readonly raw: ServerResponse;
  hijack(): unknown;
}

/** What Koa gives to a middleware. */
export interface KoaContextLike {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  respond?: boolean;
}

/** What Hono gives to a handler. */
export interface HonoContextLike {
  readonly req: { readonly raw: FetchRequest };
  /** On Node what {@link NodeBindings} has, and elsewhere whatever the server gives. */
  readonly env?: unknown;
}

interface NodeBindings {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

export interface ScrapeHandler {
  /** For `node:http` and Express. */
  (request: IncomingMessage, response: ServerResponse): void;
  /** For Fastify. */
  (request: FastifyRequestLike, reply: FastifyReplyLike): void;
  /** For Koa. */
  (context: KoaContextLike): void;
  /** For Hono, and for servers in the manner of `fetch`: Bun, Deno, Next.js, Cloudflare. */
  (request: HonoContextLike | FetchRequest): Promise<Response>;
}

interface Answers {
  respond(request: IncomingMessage, response: ServerResponse): void;
  fetch(request: FetchRequest): Promise<Response>;
}

export function scrapeHandler({ respond, fetch }: Answers): ScrapeHandler {
  return ((first: object, second?: object): unknown => {
    if (second !== undefined && 'hijack' in second) {
      const reply = second as FastifyReplyLike;
      // Otherwise Fastify would want to send something itself.
      reply.hijack();
      return respond((first as FastifyRequestLike).raw, reply.raw);
    }
    if (isResponse(second)) return respond(first as IncomingMessage, second);
    if ('res' in first && isResponse(first.res)) {
      const context = first as KoaContextLike;
      context.respond = false;
      return respond(context.req, context.res);
    }
    if ('req' in first) {
      const { req, env } = first as HonoContextLike;
      return honoTurn(env).then(() => fetch(req.raw));
    }
    return fetch(first as FetchRequest);
  }) as ScrapeHandler;
}

async function honoTurn(env: unknown): Promise<void> {
  const { incoming, outgoing } = (env ?? {}) as Partial<NodeBindings>;
  if (incoming === undefined || outgoing === undefined) return;
  await new Promise<void>((resolve) => inResponseTurn(incoming, outgoing, resolve));
}

/** Of any class: servers wrap Node's, or make their own for HTTP/2. */
function isResponse(value: unknown): value is ServerResponse {
  return typeof value === 'object' && value !== null && 'setHeader' in value && 'write' in value;
}
