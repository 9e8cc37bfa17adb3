/** The body of `generate-jitconfig`, read as GitHub's description has it. */
export interface JitRequest {
  readonly name: string;
  readonly groupId: number;
  readonly labels: readonly string[];
  readonly workFolder: string;
}

export type JitRequestReading =
  | { readonly kind: 'ok'; readonly request: JitRequest }
  | { readonly kind: 'refused'; readonly faults: readonly string[] };

/** All faults of the body at once. */
export function readJitRequest(body: unknown = {}): JitRequestReading {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return { kind: 'refused', faults: ["For 'properties/', the body is not an object."] };
  }
  const {
    name,
    runner_group_id: groupId,
    labels,
    work_folder: workFolder = '_work',
  } = body as Record<string, unknown>;
  const faults: string[] = [];
  if (name === undefined) faults.push('"name" wasn\'t supplied.');
  else if (typeof name !== 'string' || name === '')
    faults.push(`For 'properties/name', ${show(name)} is not a name.`);
  if (groupId === undefined) faults.push('"runner_group_id" wasn\'t supplied.');
  else if (!Number.isInteger(groupId))
    faults.push(`For 'properties/runner_group_id', ${show(groupId)} is not an integer.`);
  if (labels === undefined) faults.push('"labels" wasn\'t supplied.');
  else if (!isLabelList(labels))
    faults.push(`For 'properties/labels', ${show(labels)} is not a list of 1 to 100 names.`);
  if (typeof workFolder !== 'string')
    faults.push(`For 'properties/work_folder', ${show(workFolder)} is not a string.`);
  if (faults.length > 0) return { kind: 'refused', faults };
  return {
    kind: 'ok',
    request: {
      name: name as string,
      groupId: groupId as number,
      labels: labels as string[],
      workFolder: workFolder as string,
    },
  };
}

const show = (value: unknown) => JSON.stringify(value).slice(0, 100);

const isLabelList = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.length >= 1 &&
  value.length <= 100 &&
  value.every((label) => typeof label === 'string' && label !== '');

/** The body of `set-custom-labels`: `{labels}`, 0 to 100 names. Undefined if it is anything else. */
export function readLabels(body: unknown): readonly string[] | undefined {
  const labels =
    typeof body === 'object' && body !== null ? (body as { labels?: unknown }).labels : undefined;
  if (Array.isArray(labels) && labels.length === 0) return [];
  return isLabelList(labels) ? (labels as string[]) : undefined;
}
