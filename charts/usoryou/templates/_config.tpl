{{- /* probes.yaml of a part: what the values say, and `hub:` as this release needs it. { root, part } */ -}}
{{- define "usoryou.config" -}}
{{- $values := .root.Values -}}
{{- $given := $values.config -}}
{{- $text := "" -}}
{{- if not $given -}}{{- $text = .root.Files.Get "files/probes.yaml" -}}
{{- else if kindIs "string" $given -}}{{- $text = $given -}}
{{- else -}}{{- $text = toYaml $given -}}
{{- end -}}
{{- $parsed := fromYaml $text -}}
{{- if hasKey $parsed "Error" -}}{{- fail (printf "config is no YAML: %s" $parsed.Error) -}}{{- end -}}
{{- if hasKey $parsed "hub" -}}
{{- fail "config must not have `hub:`: the chart writes it (agent.hubs, agent.token, agent.spool, hub.agents; what else belongs there: hubConfig)" -}}
{{- end -}}
{{- include "usoryou.nosecrets" (dict "value" $parsed "path" "config") -}}
{{- include "usoryou.nosecrets" (dict "value" $values.hubConfig "path" "hubConfig") -}}
{{- $hub := deepCopy $values.hubConfig -}}
{{- if eq .part "agent" -}}
{{- $urls := $values.agent.hubs -}}
{{- if and (not $urls) $values.hub.enabled -}}{{- $urls = list (include "usoryou.url" (dict "root" .root "part" "hub")) -}}{{- end -}}
{{- if not $urls -}}{{- fail "agent.hubs: agents without a hub of this release need the addresses of those that they report to" -}}{{- end -}}
{{- $hub = merge (dict "urls" $urls "token" (dict "file" (printf "/run/secrets/usoryou/%s" "token")) "spool" (dict "path" "/var/lib/usoryou/spool" "max_size" $values.agent.spool.maxSize "max_age" $values.agent.spool.maxAge)) $hub -}}
{{- else if $values.hub.agents -}}
{{- $agents := list -}}
{{- range $values.hub.agents -}}
{{- $agents = append $agents (dict "name" .name "region" .region "token_sha256" .tokenSha256) -}}
{{- end -}}
{{- $hub = merge (dict "agents" $agents) $hub -}}
{{- end -}}
{{- trimSuffix "\n" $text }}
{{- if $hub }}

# Written by the chart.
hub:
{{ toYaml $hub | indent 2 }}
{{- end }}
{{ end -}}

{{- /* Secrets stand in Secrets: what is called like one has to come from the environment or a file. { value, path } */ -}}
{{- define "usoryou.nosecrets" -}}
{{- $path := .path -}}
{{- if kindIs "map" .value -}}
{{- range $key, $inner := .value -}}
{{- $at := printf "%s.%s" $path $key -}}
{{- if and (kindIs "string" $inner) (regexMatch "(?i)^(.*token|.*password|.*secret|routing_key|webhook_url|authorization|private_key)$" $key) -}}
{{- if and $inner (not (contains "${" $inner)) -}}
{{- fail (printf "%s is a secret: put it into a Secret, name that in secretEnv or secretFiles, and write \"${VARIABLE}\" or { file: /run/secrets/NAME/KEY } here" $at) -}}
{{- end -}}
{{- end -}}
{{- include "usoryou.nosecrets" (dict "value" $inner "path" $at) -}}
{{- end -}}
{{- else if kindIs "slice" .value -}}
{{- range $index, $inner := .value -}}
{{- include "usoryou.nosecrets" (dict "value" $inner "path" (printf "%s[%d]" $path $index)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
