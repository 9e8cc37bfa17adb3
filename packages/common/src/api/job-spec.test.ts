import { describe, expect, it } from '@jest/globals';
import { nextRun } from '../domain/cron.js';
import { fromJobSpecResource, jobSpecSchema, toJobSpecResource } from './job-spec.js';
import { readJobSpec } from './job-spec-text.js';

const FULL = `name: nightly
type: batch
datacenters: [dc1, dc2]
priority: 70
resources: {cpu_percent: 150, ram_mb: 2048, disk_mb: 100}
constraints:
  - {attribute: labels, operator: in, value: [gpu, large]}
  - {attribute: kernel, operator: ">=", value: 6}
depends_on: [build]
schedule:
  cron: "30 3 * * 1-5"
  time_zone: Europe/Berlin
deadline: 2h
retry: {max_retries: 5, backoff: 1s, max_backoff: 1m}
tasks:
  - name: clean
    driver: exec
    config: {command: "df -h"}
    env: {LEVEL: 3}
  - name: image
    driver: docker
    config: {image: "alpine:3", command: [sh, -c, echo], volumes: ["/a:/b:ro"]}
meta: {team: infra}
`;

const faultsOf = (text: string): string[] => {
  const read = readJobSpec(text);
  return read.kind === 'ok'
    ? []
    : read.faults.map(({ path, line, message }) => `${line} ${path}: ${message}`);
};

describe('the specification of a job', () => {
  it('is read field by field, and what is left out has its default', () => {
    const read = readJobSpec(FULL);
    if (read.kind !== 'ok') throw new Error(JSON.stringify(read.faults));
    const spec = fromJobSpecResource(read.spec);
    expect(spec).toMatchObject({
      deadlineMs: 7_200_000,
      resources: { ramMb: 2048, cpuPercent: 150, diskMb: 100 },
      constraints: [
        { attribute: 'labels', operator: 'in', values: ['gpu', 'large'] },
        { attribute: 'kernel', operator: '>=', values: ['6'] },
      ],
      tasks: [
        { driver: 'exec', options: { command: 'df -h' }, env: { LEVEL: '3' } },
        { driver: 'docker', image: 'alpine:3', options: { command: '["sh","-c","echo"]' } },
      ],
    });
    expect(fromJobSpecResource(jobSpecSchema.parse(toJobSpecResource(spec)))).toEqual(spec);
    const least = readJobSpec('name: a\ntasks: [{name: t, driver: exec, config: {command: ls}}]');
    expect(least).toMatchObject({
      kind: 'ok',
      spec: { type: 'batch', priority: 50, deadline: 0, retry: { max_retries: 3, backoff: 10_000 } },
    });
  });

  it('that is wrong names every fault, each with its path and its line', () => {
    const faults = faultsOf(`name: "not a name!"
type: bach
prioritty: 5
resources:
  ram_mb: -1
constraints:
  - attribute: a
    operator: "~"
    value: x
  - attribute: b
    operator: regexp
    value: "("
schedule:
  cron: "61 * * * *"
  time_zone: Mars/Olympus
deadline: soon
tasks:
  - name: t
    driver: exec
    config:
      comand: ls
  - name: t
    driver: podman
    config: {}
`);
    const places = faults.map((fault) => fault.split(':')[0]);
    expect(places).toEqual(
      expect.arrayContaining([
        '1 name',
        '2 type',
        '3 prioritty',
        '5 resources.ram_mb',
        '8 constraints[0].operator',
        '12 constraints[1].value',
        '15 schedule.time_zone',
        '16 deadline',
        '20 tasks[0].config.command',
        '21 tasks[0].config.comand',
        '23 tasks[1].driver',
      ]),
    );
  });

  it('that is wrong in one field hides no fault of another, nor says that what is there is missing', () => {
    const faults = faultsOf(`name: ok
type: system
datacenters: dc1
depends_on: [a]
schedule: {cron: "61 * * * *", time_zone: Mars/Base}
retry: {max_retries: many}
tasks:
  - {name: t, driver: exec, config: {}}
  - {name: t, driver: exec, config: {command: ls}}
`);
    expect(faults).toEqual([
      '3 datacenters: expected a list',
      '4 depends_on: a system job waits for no other',
      '5 schedule.time_zone: Mars/Base is no time zone: write one such as Europe/Berlin',
      expect.stringMatching(/^5 schedule\.cron: ./),
      '5 schedule: a system job has none: it runs once on every node',
      '6 retry.max_retries: expected a whole number',
      '8 tasks[0].config.command: it is missing (expected a text)',
      '9 tasks[1].name: t is the name of an earlier task',
    ]);
  });

  it('that is right knows the line of every field', () => {
    const read = readJobSpec(FULL);
    if (read.kind !== 'ok') throw new Error('it is right');
    for (const [path, line] of [
      ['depends_on[0]', 9],
      ['tasks[1].config.image', 22],
      ['constraints[1].value', 8],
      ['', 1],
    ] as const)
      expect({ path, line: read.lineOf(path) }).toEqual({ path, line });
  });

  it('that is no YAML, or empty, or JSON with a fault, says so with its line', () => {
    expect(faultsOf('a: [1\nb: 2')[0]).toMatch(/^[12] /);
    expect(faultsOf('')).toEqual(['1 : it is empty']);
    expect(faultsOf('{\n "name": "a",\n "tasks": []\n}')).toEqual(['3 tasks: expected at least one task']);
    expect(faultsOf('just a text').length).toBe(1);
    const bomb = Array.from({ length: 9 }, (_, at) =>
      at === 0
        ? 'a0: &a0 [x, x, x, x, x, x, x, x]'
        : `a${at}: &a${at} [${Array(8)
            .fill(`*a${at - 1}`)
            .join(', ')}]`,
    );
    expect(faultsOf(bomb.join('\n'))[0]).toMatch(/alias/i);
  });
});

describe('a schedule', () => {
  it('is due by the clock of its time zone, over the change to summer time too', () => {
    const at = (text: string) => Date.parse(text);
    expect(nextRun('30 3 * * *', 'Europe/Berlin', at('2026-03-28T12:00:00Z'))).toBe(
      at('2026-03-29T01:30:00Z'),
    );
    expect(nextRun('30 3 * * *', 'Europe/Berlin', at('2026-03-27T12:00:00Z'))).toBe(
      at('2026-03-28T02:30:00Z'),
    );
    expect(nextRun('0 0 1 1 *', 'UTC', at('2026-11-21T00:00:00Z'))).toBe(at('2027-01-01T00:00:00Z'));
  });
});
