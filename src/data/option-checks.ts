// What every list of options refuses in the same words.
import { isObject, shown } from './checked-options.ts';
import { ConfigError } from './errors.ts';

/** @param owner whose options they are, such as `otlpHttp` */
export function optionChecks(owner: string) {
  /** @param remedy completes "it must be …" */
  function demand(holds: boolean, setting: string, value: unknown, remedy: string): void {
    if (!holds) throw new ConfigError(`${owner}: ${setting} is ${shown(value)}; it must be ${remedy}`);
  }
  return {
    demand,
    /** For values that may be secret: the message does not show them. */
    demandSecret(holds: boolean, setting: string, remedy: string): void {
      if (!holds) throw new ConfigError(`${owner}: ${setting} cannot work; it must be ${remedy}`);
    },
    demandObject(setting: string, value: unknown): void {
      demand(isObject(value) && !Array.isArray(value), setting, value, 'an object');
    },
    demandFunction(setting: string, value: unknown, remedy: string): void {
      demand(value === undefined || typeof value === 'function', setting, value, remedy);
    },
    /** @param unknown what is left when the known settings are taken out */
    demandNothing(unknown: object, prefix = ''): void {
      const [name] = Object.keys(unknown);
      if (name !== undefined)
        throw new ConfigError(`${owner}: there is no setting ${prefix}${name}; remove it`);
    },
  };
}

export type OptionChecks = ReturnType<typeof optionChecks>;
