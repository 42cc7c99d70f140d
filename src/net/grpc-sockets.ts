// Sockets of a gRPC channel that can be closed.
import type { ChannelOptions, experimental } from '@grpc/grpc-js';
import { authorityOf, type GrpcTarget, parseGrpcTarget, targetText } from './grpc-target.ts';

/** The channel option with the `AbortSignal` that ends all sockets of the channel. */
export const SOCKETS_OPTION = 'meterline.sockets';

const SCHEME = 'meterline';

/**
 * The target, in a form that ties the sockets of its channel to the channel's {@link SOCKETS_OPTION}.
 *
 * grpc-js has no limit on the time to connect, and never closes the socket of an attempt that it no longer needs: a peer
 * that says nothing would keep the process alive for minutes and leave a socket behind for each export. Addresses go to
 * `net.connect` as they are, so a resolver around the real one can add a signal to them. Connections through a
 * proxy are made otherwise and not tied.
 */
export function tiedTarget(grpc: { experimental: typeof experimental }, target: GrpcTarget): string {
  const { registerResolver, createResolver } = grpc.experimental;

  class TiedResolver implements experimental.Resolver {
    readonly #resolver: experimental.Resolver;

    constructor(uri: experimental.GrpcUri, listener: experimental.ResolverListener, options: ChannelOptions) {
      this.#resolver = createResolver(parsed(uri), tied(listener, options[SOCKETS_OPTION]), options);
    }

    static getDefaultAuthority(uri: experimental.GrpcUri): string {
      return authorityOf(parsed(uri));
    }

    updateResolution(): void {
      this.#resolver.updateResolution();
    }

    destroy(): void {
      this.#resolver.destroy();
    }
  }

  registerResolver(SCHEME, TiedResolver);
  return `${SCHEME}:${targetText(target)}`;
}

const parsed = ({ path }: experimental.GrpcUri): GrpcTarget => parseGrpcTarget(path)!;

function tied(listener: experimental.ResolverListener, signal: AbortSignal): experimental.ResolverListener {
  // Before 1.13 it was an object. There, sockets are left to the operating system.
  if (typeof listener !== 'function') return listener;
  return (result, ...rest) => {
    if (!result.ok) return listener(result, ...rest);
    const endpoints = result.value.map((endpoint) => ({
      ...endpoint,
      addresses: endpoint.addresses.map((address) => ({ ...address, signal })),
    }));
    return listener({ ...result, value: endpoints }, ...rest);
  };
}
