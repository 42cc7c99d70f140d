import { describe, expect, test } from 'vitest';
import { authorityOf, parseGrpcTarget, targetText } from './grpc-target.ts';

const read = (endpoint: string) => {
  const target = parseGrpcTarget(endpoint);
  return target && [targetText(target), target.isSecure, authorityOf(target)];
};

describe('gRPC endpoints', () => {
  test.each([
    ['http://localhost:4317', 'dns:///localhost:4317', false, 'localhost:4317'],
    ['https://c.example:4317', 'dns:///c.example:4317', true, 'c.example:4317'],
    ['HTTPS://c.example:4317', 'dns:///c.example:4317', true, 'c.example:4317'],
    ['http://[::1]:4317', 'dns:///[::1]:4317', false, '[::1]:4317'],
    ['http://c:4317/v1/metrics?x=1', 'dns:///c:4317', false, 'c:4317'],
    ['http://c', 'dns:///c:80', false, 'c:80'],
    ['https://c', 'dns:///c:443', true, 'c:443'],
  ])('[7.07] %s, a URL, says whether to encrypt', (endpoint, target, isSecure, authority) => {
    expect(read(endpoint)).toEqual([target, isSecure, authority]);
  });

  test.each([
    ['collector:4317', 'dns:collector:4317', 'collector:4317'],
    ['collector', 'dns:collector', 'collector'],
    ['127.0.0.1:4317', 'dns:127.0.0.1:4317', '127.0.0.1:4317'],
    ['[::1]:4317', 'dns:[::1]:4317', '[::1]:4317'],
    ['::1', 'dns:::1', '::1'],
    ['dns:collector:4317', 'dns:collector:4317', 'collector:4317'],
    ['dns:///collector:4317', 'dns:///collector:4317', 'collector:4317'],
    ['dns://10.0.0.53/collector:4317', 'dns://10.0.0.53/collector:4317', 'collector:4317'],
    ['ipv4:10.0.0.1:4317,10.0.0.2:4317', 'ipv4:10.0.0.1:4317,10.0.0.2:4317', '10.0.0.1:4317'],
    ['ipv6:[::1]:4317,[::2]:4317', 'ipv6:[::1]:4317,[::2]:4317', '[::1]:4317'],
    ['unix:/run/otel.sock', 'unix:/run/otel.sock', 'localhost'],
    ['unix:///run/otel.sock', 'unix:///run/otel.sock', 'localhost'],
    ['xds:///collector', 'xds:///collector', 'collector'],
  ])('[7.07] %s, a native target, leaves it to the options', (endpoint, target, authority) => {
    expect(read(endpoint)).toEqual([target, undefined, authority]);
  });

  test.each([
    '',
    ' ',
    'ftp://c:21',
    'grpc://c:4317',
    'http://',
    'http://c:0',
    'http://c:65536',
    'http://user:secret@c:4317',
    'c:0',
    'c:65536',
    'c:port',
    'c:4317/v1/metrics',
    'c d:4317',
    'a:1,b:2',
    '[::1',
    '[c]:4317',
    'dns:',
    'dns:///',
    'unix:',
    'ipv4:collector:4317',
    'ipv4:10.0.0.1:4317,',
    'ipv6:[10.0.0.1]:4317',
    'DNS:///c:4317',
  ])('%j is none', (endpoint) => {
    expect(read(endpoint)).toBeUndefined();
  });
});
