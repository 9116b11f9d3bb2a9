import { useEffect, useReducer, useState } from 'preact/hooks';

/** Render again whenever `target` says that it changed. */
export function useChanges(target, event = 'change') {
  const [, again] = useReducer((count) => count + 1, 0);
  useEffect(() => {
    if (!target) return undefined;
    target.addEventListener(event, again);
    return () => target.removeEventListener(event, again);
  }, [target, event]);
}

/** A promise's progress for a form: [busy, problem, run]. `run` answers what the promise gave, or undefined. */
export function useAttempt(describe) {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState(null);
  const run = async (work) => {
    setBusy(true);
    setProblem(null);
    try {
      return await work();
    } catch (error) {
      setProblem(describe(error));
      return undefined;
    } finally {
      setBusy(false);
    }
  };
  return [busy, problem, run];
}
