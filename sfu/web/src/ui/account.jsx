import { useState } from 'preact/hooks';
import { useAttempt, useScreen } from './hooks.js';
import { apiProblem } from './words.js';

/** Sign in, or sign up and be signed in. */
export function Account({ api, invited, expired, onSignedIn }) {
  const [fresh, setFresh] = useState(false);
  const [busy, problem, run] = useAttempt(apiProblem);
  const first = useScreen(fresh ? 'Sign up' : 'Sign in', fresh);

  const submit = async (event) => {
    event.preventDefault();
    const { username, email, password } = Object.fromEntries(new FormData(event.currentTarget));
    const user = await run(async () => {
      if (fresh) await api.register(username, email, password);
      return api.login(username, password);
    });
    if (user) onSignedIn(user);
  };

  return (
    <main class="card narrow">
      <Brand />
      <h1>{fresh ? 'Create your account' : 'Sign in'}</h1>
      {invited && <p class="hint">You were invited to a meeting. {fresh ? 'Sign up' : 'Sign in'} to join it.</p>}
      {expired && (
        <p class="hint" role="status">
          Your sign-in has ended. Sign in again to go on.
        </p>
      )}
      <form onSubmit={submit}>
        <label>
          Username
          <input name="username" ref={first} autocomplete="username" required minLength={3} maxLength={64} />
        </label>
        {fresh && (
          <label>
            Email
            <input name="email" type="email" autocomplete="email" required />
          </label>
        )}
        <label>
          Password
          <input
            name="password"
            type="password"
            autocomplete={fresh ? 'new-password' : 'current-password'}
            required
            minLength={fresh ? 8 : 1}
          />
          {fresh && <small>At least 8 characters.</small>}
        </label>
        {problem && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <button class="primary" aria-disabled={busy}>
          {fresh ? 'Sign up' : 'Sign in'}
        </button>
      </form>
      <p class="switch">
        {fresh ? 'You have an account?' : 'You are new here?'}{' '}
        <button type="button" class="link" onClick={() => setFresh(!fresh)}>
          {fresh ? 'Sign in instead' : 'Create an account'}
        </button>
      </p>
    </main>
  );
}

export function Brand() {
  return (
    <p class="brand">
      <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
        <rect width="32" height="32" rx="8" fill="currentColor" />
        <path fill="#fff" d="M7 11a2 2 0 0 1 2-2h9a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H9a2 2 0 0 1-2-2zM22 14l5-3v10l-5-3z" />
      </svg>
      Meet
    </p>
  );
}
