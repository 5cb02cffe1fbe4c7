//! What stands below the options in help texts.

pub(super) const EXAMPLES: &str = "\
Examples:
  identity token --scope https://storage.azure.com/.default
  identity diagnose
  identity token --scope https://storage.azure.com/.default --emulator
  identity token --scope https://storage.azure.com/.default \\
    --credential client-secret --emulator
  identity explain credential-unavailable
  identity emulator --source app-service";

/// Below `-h`; `concat!` takes no constants.
macro_rules! exit_codes {
    () => {
        "\
A [NAME] after an option is the variable that is read if it is not given.
Every user of a machine can read command lines: secrets come from variables and
files only.

Exit codes:
  0  there is a token
  1  the system failed: no output, no port
  2  the command line or the configuration is wrong
  3  no credential is available here
  4  a person must sign in
  5  the service refused
  6  no usable answer came, after retries
  7  an answer broke the protocol"
    };
}

pub(super) const TOKEN_SHORT: &str = concat!(exit_codes!(), "\n\n--help has examples, too.");

pub(super) const TOKEN: &str = concat!(
    "\
Examples:
  Try it with no cloud at hand:
    identity token --emulator --scope https://storage.azure.com/.default
  Try an application, too:
    identity token --emulator --credential certificate \\
      --scope https://storage.azure.com/.default
  Which identity does this machine have?
    identity token --scope https://management.azure.com/.default
  Does this application's secret work?
    export AZURE_TENANT_ID=... AZURE_CLIENT_ID=...
    pass app/secret | identity token --credential client-secret \\
      --client-secret-file - --scope https://vault.azure.net/.default
  Does the application trust this machine's identity?
    identity token --credential client-assertion \\
      --assertion-from managed-identity --tenant-id TENANT --client-id ID \\
      --scope https://vault.azure.net/.default
  Call a service:
    identity token -o header --scope https://vault.azure.net/.default |
      curl -H @- https://NAME.vault.azure.net/...
  Let kubectl sign in with the identity of this machine; the scope is AKS:
    kubectl config set-credentials machine --exec-interactive-mode=Never \\
      --exec-api-version=client.authentication.k8s.io/v1 \\
      --exec-command=identity --exec-arg=token --exec-arg=--output=kubectl \\
      --exec-arg=--credential=managed-identity \\
      --exec-arg=--scope=6dae42f8-4368-4678-94ff-3960e28e3630/.default
  Why is there no token?
    identity diagnose --scope https://storage.azure.com/.default
    identity token --verbose --credential managed-identity --client-id ID \\
      --scope https://storage.azure.com/.default

",
    exit_codes!(),
    "

With `--output json` an error with one of the codes 2 to 7 is one JSON object
on standard error: kind, message, credential, entra_codes, correlation_id,
trace_id, attempts, help and more. With --verbose, lines of the log come before it.

With `--output kubectl` the variable KUBERNETES_EXEC_INFO, which clients of
Kubernetes set, says which apiVersion to answer with: client.authentication.k8s.io
v1 or v1beta1, and v1 if it is not set. The time of expiry in the answer is 5
minutes before the token's, or half of what is left of a life below 10 minutes."
);

pub(super) const EMULATOR: &str = "\
Examples:
  In one terminal:
    identity emulator --source app-service > emulator.env
  In another, for a program in any language:
    . ./emulator.env && python my_program.py
  Entra ID, with an application that has a secret:
    identity emulator --source entra > emulator.env
  The same with applications of your own:
    identity emulator --write-directory directory.toml
    identity emulator --source entra --directory directory.toml > emulator.env
  A web API that a user has called: the user's token is in a file
    identity emulator --source on-behalf-of > emulator.env
  A service that is slow and fails:
    identity emulator --source imds --latency 2s --fail 503

All sources run; --source chooses whose variables are printed. Faults that
change while it runs, and a record of all requests, are at the control address.";

pub(super) const DIAGNOSE_SHORT: &str = "\
Each credential of the chain is asked, also those that a program would not come
to; then the tools are asked for their versions and the authority for its time.
No token and no secret is shown. The exit code is 0 if there is a token, else
that of `identity token`. --help has examples and the fields of --output json.";

pub(super) const DIAGNOSE: &str = "\
Each credential of the chain is asked, also those that a program would not come
to; then the tools are asked for their versions and the authority for its time.
No token and no secret is shown.

Examples:
  What do programs run as here, and why?
    identity diagnose
  For one service, and for a support case:
    identity diagnose --scope https://vault.azure.net/.default -o json
  Would the tools do if the variables were not there?
    identity diagnose --exclude environment
  See it at work with no cloud at hand:
    identity diagnose --emulator

The exit code is 0 if there is a token, else that of `identity token`: 2 for a
configuration that is wrong, 3 if no credential is available, and so on.

--output json prints one object. Times are seconds since 1970, UTC; what is not
known is null. Fields may be added.
  version, os, arch, time, emulator, scope
  winner      the credential that a program gets, or null
  error       why there is none: as `identity token -o json` tells it
  next_steps  what to do, the likeliest first
  warnings    all of those below
  links       position, name, state, reached, milliseconds, reason, error,
              token: credential, source, expires_on, audience, user, client_id,
              object_id, resource_id, tenant_id
              state: token, unavailable, stops_the_chain, cannot_be_built,
              left_out, not_in_this_version
  places      name, sign
  variables   name, value or hidden_length, warnings, note
  files       variable, path, trouble, bytes, modified, warnings,
              token: issuer, subject, audience, expires_on
  managed_identity   source, origin
  tools       name, path, version, trouble; null where there can be none
  network     authority, authority_trouble, http_status, milliseconds,
              answer_trouble, clock_ahead_seconds, proxy, proxy_trouble, roots,
              roots_trouble";
