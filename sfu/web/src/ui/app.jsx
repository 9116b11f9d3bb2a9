import { useEffect, useState } from 'preact/hooks';
import { Api } from '../client/index.js';
import { Account } from './account.jsx';
import { Home } from './home.jsx';
import { addressWith } from './links.js';
import { Meeting } from './meeting.jsx';

const api = new Api();
const JOIN = /^\/meetings\/([^/]+)\/join\/?$/;

const meetingOf = (path) => {
  const found = JOIN.exec(path);
  try {
    return found && decodeURIComponent(found[1]);
  } catch {
    return found[1]; // no address of ours; the server will say that there is no such meeting
  }
};

/** The page in three states: signed out, at home, in a meeting. The address says which meeting. */
export function App() {
  const [user, setUser] = useState(undefined);
  const [expired, setExpired] = useState(false);
  const [meetingId, setMeetingId] = useState(() => meetingOf(location.pathname));

  const signedOut = () => {
    setExpired(true);
    setUser(null);
  };

  useEffect(() => {
    const follow = () => setMeetingId(meetingOf(location.pathname));
    addEventListener('popstate', follow);
    api.addEventListener('expired', signedOut);
    // a cookie of an earlier visit signs in again; the flag spares newcomers a request that must fail
    if (localStorage.getItem('meet.visited')) api.me().then(setUser, () => setUser(null));
    else setUser(null);
    return () => {
      removeEventListener('popstate', follow);
      api.removeEventListener('expired', signedOut);
    };
  }, []);

  const go = (id, passphrase) => {
    const address = id ? `/meetings/${encodeURIComponent(id)}/join` : '/';
    history.pushState(null, '', passphrase ? addressWith(address, passphrase) : address);
    setMeetingId(id);
  };
  const signedIn = (account) => {
    localStorage.setItem('meet.visited', 'yes');
    setExpired(false);
    setUser(account);
  };
  const signOut = async () => {
    localStorage.removeItem('meet.visited');
    await api.logout().catch(() => {});
    setExpired(false);
    setUser(null);
  };

  if (user === undefined) return <p class="loading" role="status">One moment…</p>;
  if (!user) return <Account api={api} invited={Boolean(meetingId)} expired={expired} onSignedIn={signedIn} />;
  if (meetingId) {
    const ways = { onLeave: () => go(null), onSignedOut: signedOut };
    return <Meeting key={meetingId} api={api} user={user} meetingId={meetingId} {...ways} />;
  }
  return <Home api={api} user={user} onOpen={go} onSignOut={signOut} />;
}
