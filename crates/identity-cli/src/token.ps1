# Prints one line with the token of whoever is signed in to Azure PowerShell, or a word if its module is missing.
# Nothing is put into this text: what is wanted comes by variables. It calls no method that a constrained language mode
# forbids.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'
$module = Import-Module Az.Accounts -MinimumVersion 2.2.0 -PassThru -ErrorAction SilentlyContinue
if (-not $module) {
    Write-Output 'NO_AZ_ACCOUNT_MODULE'
    $Error | Select-Object -First 1 | Out-String | Write-Output
    exit 0
}
$wanted = @{ ResourceUrl = $env:AZURE_IDENTITY_POWERSHELL_RESOURCE; WarningAction = 'Ignore' }
if ($env:AZURE_IDENTITY_POWERSHELL_TENANT_ID) {
    $wanted['TenantId'] = $env:AZURE_IDENTITY_POWERSHELL_TENANT_ID
}
if ($module.Version -ge [version]'2.17.0' -and $module.Version -lt [version]'5.0.0') {
    $wanted['AsSecureString'] = $true
}
$answer = Get-AzAccessToken @wanted
$token = $answer.Token
if ($token -is [securestring]) {
    $token = (New-Object -TypeName pscredential -ArgumentList 'token', $token).GetNetworkCredential().Password
}
$life = New-TimeSpan -Start '1970-01-01T00:00:00' -End $answer.ExpiresOn.UtcDateTime
Write-Output ('azsdk%{0}%{1}' -f $token, [int64]$life.TotalSeconds)
