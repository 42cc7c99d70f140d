import { describe, expect, test } from 'vitest';
import { createExporter } from '../data/exporter.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { batchOf, counter, gauge } from '../encoding/fixtures/metrics.ts';
import { exported } from '../exporters/fixtures/exporting.ts';
import { type FilterOptions, filter } from './filter.ts';
import { answering } from './fixtures/answering.ts';

const batch = batchOf([
  [
    { name: '@shop/orders' },
    [
      counter('orders', [
        [{ route: '/orders', code: 200 }, 1],
        [{ route: '/health', code: 200 }, 2],
        [{ route: '/orders', code: 500 }, 3],
        [{}, 4],
      ]),
      gauge('Queue.Length', [[{ tags: ['a', 'b'] }, 5]]),
    ],
  ],
  [{ name: 'runtime' }, [gauge('heap', [[{ space: 'new', pinned: true }, 6]])]],
]);

/** Metric by metric, the values that are left. */
async function left(options: FilterOptions, from: MetricBatch = batch) {
  let seen: MetricBatch | undefined;
  const { exporter } = answering('x', [
    async (it) => {
      seen = it;
    },
  ]);
  expect(await exported(filter(exporter, options), from)).toBeUndefined();
  return seen?.scopeMetrics.map(({ scope, metrics }) => [
    scope.name,
    ...metrics.map(({ descriptor, dataPoints }) => [
      descriptor.name,
      ...dataPoints.map(({ value }) => value),
    ]),
  ]);
}

describe('filter', () => {
  test('passes on an empty batch, since what is inside may owe something from before', async () => {
    expect(await left({ include: { name: 'x' } }, batchOf([]))).toEqual([]);
  });

  test('makes the same batch of the same one, of which what is inside may have a part', async () => {
    const seen: MetricBatch[] = [];
    const inner = createExporter({ name: 'inner', export: async (it) => void seen.push(it) });
    const filtering = filter(inner, { exclude: { scope: 'runtime' } });
    for (let i = 0; i < 2; i++) await exported(filtering, batch);
    expect(seen).toHaveLength(2);
    expect(seen[0]).toBe(seen[1]);
  });

  test.each<[string, FilterOptions, unknown]>([
    ['the name of the scope', { include: { scope: 'runtime' } }, [['runtime', ['heap', 6]]]],
    ['a pattern for the scope', { exclude: { scope: '@shop/*' } }, [['runtime', ['heap', 6]]]],
    [
      'the name of the metric, in any letter case',
      { include: { name: 'queue.length' } },
      [['@shop/orders', ['Queue.Length', 5]]],
    ],
    [
      'an attribute',
      { exclude: { attributes: { route: '/health*' } } },
      [
        ['@shop/orders', ['orders', 1, 3, 4], ['Queue.Length', 5]],
        ['runtime', ['heap', 6]],
      ],
    ],
    [
      'attributes that are no texts',
      { include: [{ attributes: { code: '5??' } }, { attributes: { pinned: 'true' } }] },
      [
        ['@shop/orders', ['orders', 3]],
        ['runtime', ['heap', 6]],
      ],
    ],
    [
      'an item of a list',
      { include: { attributes: { tags: 'b' } } },
      [['@shop/orders', ['Queue.Length', 5]]],
    ],
    ['that an attribute is there', { include: { attributes: { space: '*' } } }, [['runtime', ['heap', 6]]]],
    [
      'all that a rule names',
      { include: { scope: '@shop/*', attributes: { route: '/orders', code: '200' } } },
      [['@shop/orders', ['orders', 1]]],
    ],
    [
      'what is included and not excluded',
      { include: { name: 'orders' }, exclude: [{ attributes: { code: '500' } }, { name: 'x' }] },
      [['@shop/orders', ['orders', 1, 2, 4]]],
    ],
  ])('goes by %s', async (_, options, expected) => {
    expect(await left(options)).toEqual(expected);
  });

  test('special characters of patterns are plain ones', async () => {
    const odd = batchOf([[{ name: 's' }, [counter('a.b', [[{}, 1]]), counter('axb', [[{}, 2]])]]]);
    expect(await left({ include: { name: 'a.b' } }, odd)).toEqual([['s', ['a.b', 1]]]);
  });

  test('a batch of which nothing is left is delivered without an export', async () => {
    expect(await left({ include: { name: 'nothing' } })).toBeUndefined();
  });

  test('a batch of which all is left is passed on as it is', async () => {
    let seen: unknown;
    const { exporter } = answering('x', [
      async (it) => {
        seen = it;
      },
    ]);
    await exported(filter(exporter, { exclude: { attributes: { route: '/nowhere' } } }), batch);
    expect(seen).toBe(batch);
  });

  test.each<[unknown, string]>([
    [{}, 'it must be given include, exclude or both'],
    [undefined, 'options is undefined'],
    [{ include: [] }, 'include is []; it must be at least one rule'],
    [{ include: {} }, 'include is {}; it must be a rule with scope, name or attributes'],
    [{ include: [{ attributes: {} }] }, 'include[0] is { attributes }; it must be a rule'],
    [{ exclude: 'heap' }, "exclude is 'heap'; it must be an object"],
    [{ exclude: { name: 5 } }, 'exclude.name is 5; it must be a text'],
    [{ exclude: { attributes: { code: 500 } } }, 'exclude.attributes["code"] is 500; it must be a text'],
    [{ exclude: { metric: 'x' } }, 'there is no setting exclude.metric'],
    [{ only: {} }, 'there is no setting only'],
  ])('refuses options that cannot work: %o', (options, message) => {
    expect(() => filter(answering('x').exporter, options as never)).toThrow(message);
  });
});
