import { expect, test } from 'vitest';
import { labelName, metricName } from './prometheus-names.ts';

test.each([
  ['a.b//c__d', 'a_b_c_d'],
  ['1x', '_1x'],
  ['job:rate:5m', 'job:rate:5m'],
  ['größe', 'gr_e'],
  ['_private', '_private'],
])('[8.08] the name %s becomes %s', (name, expected) => {
  expect(metricName(name, '', false)).toBe(expected);
});

test.each(['', '_', '///', '💥'])('[8.08] of the name %j nothing remains', (name) => {
  expect(metricName(name, 's', true)).toBeUndefined();
});

test.each([
  ['d', 'x_days'],
  ['h', 'x_hours'],
  ['min', 'x_minutes'],
  ['s', 'x_seconds'],
  ['ms', 'x_milliseconds'],
  ['us', 'x_microseconds'],
  ['ns', 'x_nanoseconds'],
  ['By', 'x_bytes'],
  ['KiBy', 'x_kibibytes'],
  ['MiBy', 'x_mebibytes'],
  ['GiBy', 'x_gibibytes'],
  ['TiBy', 'x_tebibytes'],
  ['kBy', 'x_kilobytes'],
  ['MBy', 'x_megabytes'],
  ['GBy', 'x_gigabytes'],
  ['TBy', 'x_terabytes'],
  ['m', 'x_meters'],
  ['V', 'x_volts'],
  ['A', 'x_amperes'],
  ['J', 'x_joules'],
  ['W', 'x_watts'],
  ['g', 'x_grams'],
  ['Cel', 'x_celsius'],
  ['Hz', 'x_hertz'],
  ['%', 'x_percent'],
  ['fnord', 'x_fnord'],
  ['k.W', 'x_k_W'],
  ['constructor', 'x_constructor'],
])('[8.09] the unit %s gives the gauge x the name %s', (unit, expected) => {
  expect(metricName('x', unit, false)).toBe(expected);
});

test.each([
  ['', 'x'],
  ['1', 'x'],
  ['{request}', 'x'],
  ['{a}/{b}', 'x'],
  ['By{memory}', 'x_bytes'],
  ['By/s', 'x_bytes_per_second'],
  ['m/s', 'x_meters_per_second'],
  ['m/m', 'x_meters_per_minute'],
  ['{req}/s', 'x_per_second'],
  ['1/y', 'x_per_year'],
  ['By/{packet}', 'x_bytes'],
  ['By/fortnight', 'x_bytes_per_fortnight'],
  ['g/m/s', 'x_grams_per_m_s'],
])('[8.10] the unit %j gives the gauge x the name %s', (unit, expected) => {
  expect(metricName('x', unit, false)).toBe(expected);
});

test.each([
  ['foo.bar', 'By', 'foo_bar_bytes_total'],
  ['foo.bytes.total', 'By', 'foo_bytes_total'],
  ['requests', '', 'requests_total'],
  ['requests_total', '', 'requests_total'],
  ['http_server_requests_total', '1', 'http_server_requests_total'],
  ['cpu.', 's', 'cpu_seconds_total'],
])('[8.11][8.12] the counter %s of unit %j is named %s', (name, unit, expected) => {
  expect(metricName(name, unit, true)).toBe(expected);
});

test.each([
  ['x.seconds', 's', 'x_seconds'],
  ['seconds', 's', 'seconds'],
  ['x.milliseconds', 's', 'x_milliseconds_seconds'],
  ['http_server_request_duration_seconds', 's', 'http_server_request_duration_seconds'],
  ['http_server_request_size_bytes', 'By', 'http_server_request_size_bytes'],
  ['http_server_active_requests', '1', 'http_server_active_requests'],
  ['items.total', '', 'items_total'],
])('[8.11] %s of unit %j, not a counter, is named %s', (name, unit, expected) => {
  expect(metricName(name, unit, false)).toBe(expected);
});

test.each([
  ['http.route', 'http_route'],
  ['a..b/c', 'a_b_c'],
  ['a__b', 'a_b'],
  ['2xx', 'key_2xx'],
  ['_x', '_x'],
  ['__name__', '_name_'],
  ['a:b', 'a_b'],
  ['', '_'],
  ['💥', '_'],
])('[8.21] the attribute %j becomes the label %s', (key, expected) => {
  expect(labelName(key)).toBe(expected);
});
