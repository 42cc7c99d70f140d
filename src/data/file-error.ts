// What a failed file operation means to whoever runs the service.
import { ExportError } from './errors.ts';

const REMEDIES: Record<string, string> = {
  EACCES: 'give this process write permission to the file and its folder',
  EDQUOT: 'free disk space or raise the quota',
  EEXIST: 'a part of the path is a file where a folder should be: move it away or choose another path',
  EFBIG: 'rotate at a smaller size or raise the file size limit (ulimit -f)',
  EISDIR: 'the path is a folder: choose a file name in it',
  EMFILE: 'raise the limit of open files (ulimit -n)',
  ENFILE: "raise the system's limit of open files",
  ENOENT: 'make sure that the folder can be created',
  ENOSPC: 'free disk space',
  ENOTDIR: 'a part of the path is a file where a folder should be: move it away or choose another path',
  EPERM: 'give this process write permission to the file and its folder',
  EROFS: 'choose a path on a writable file system',
};

/** An errno becomes a retryable `IO` error that names path, errno and remedy; other errors stay as they are. */
export function fileError(path: string, error: unknown): ExportError {
  const code = errnoOf(error);
  if (code === undefined) return ExportError.from(error);
  const remedy = REMEDIES[code] ?? 'check the path and its file system';
  return new ExportError('IO', `cannot write ${path} (${code}): ${remedy}; writing then resumes by itself`, {
    retryable: true,
    cause: error,
  });
}

/** The errno of an error of the operating system, such as `ENOSPC`. */
export function errnoOf(error: unknown): string | undefined {
  const { code, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  return typeof syscall === 'string' ? code : undefined;
}
