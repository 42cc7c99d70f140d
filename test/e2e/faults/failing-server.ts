// A real server behind a network that fails, or that fails itself.
import { startFaultProxy } from '../../support/fault-proxy.ts';
import type { FailingReceiver } from './episode.ts';
import type { Random } from './random.ts';
import type { RealReceiver } from './real-receivers.ts';

export interface FailingServer extends FailingReceiver {
  /** Where the network to the server begins. */
  readonly port: number;
  stop(): void;
}

export async function failingServer(server: RealReceiver): Promise<FailingServer> {
  const proxy = await startFaultProxy(Number(new URL(server.url).port));
  const failures: Record<string, (random: Random) => Promise<void> | void> = {
    'refuses connections'() {
      proxy.refuse();
      proxy.reset();
    },
    'is in a black hole': () => proxy.blackHole(),
    'takes it and loses the answer': () => void proxy.cutAfter(0, 'responses'),
    'loses the request on its way': (random) => void proxy.cutAfter(random.between(1, 500)),
    'is slow': (random) => proxy.delay(random.between(20, 200)),
    async 'is restarted'() {
      await server.stop();
      await server.start();
    },
    'stands still': () => server.pause(),
  };
  return {
    port: proxy.port,
    async fail(random) {
      const failure = random.oneOf(Object.keys(failures));
      await failures[failure]!(random);
      return failure;
    },
    async heal() {
      server.resume();
      await proxy.heal();
    },
    stop: () => proxy.stop(),
  };
}
