import type { Cordon } from '@mig/common/domain/vm';

/** Why a registration waits, for people: the VM is kept from new jobs. */
export const cordonNote = ({ reason, by }: Cordon): string =>
  `the VM is cordoned by ${by}${reason === '' ? '' : ` (${reason})`}: it is registered when it is uncordoned`;
