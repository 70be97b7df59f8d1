{{- define "usoryou.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "usoryou.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "usoryou.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "usoryou.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* What belongs to one part (embedded, agent, hub): { root, part }. */ -}}
{{- define "usoryou.partname" -}}
{{- if eq .part "embedded" -}}{{ include "usoryou.fullname" .root }}{{- else -}}{{ include "usoryou.fullname" .root }}-{{ .part }}{{- end -}}
{{- end -}}

{{- define "usoryou.selector" -}}
app.kubernetes.io/name: {{ include "usoryou.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end -}}

{{- define "usoryou.labels" -}}
{{ include "usoryou.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "usoryou.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The address of the internal listener of a part. */ -}}
{{- define "usoryou.url" -}}
{{- $port := ternary (int .root.Values.hub.service.port) 9797 (eq .part "hub") -}}
http://{{ include "usoryou.partname" . }}.{{ .root.Release.Namespace }}.svc:{{ $port }}
{{- end -}}

{{- /* The parts of this release, with commas. */ -}}
{{- define "usoryou.parts" -}}
{{- if eq .Values.mode "embedded" -}}embedded
{{- else -}}
{{- $parts := list -}}
{{- if .Values.agent.enabled -}}{{- $parts = append $parts "agent" -}}{{- end -}}
{{- if .Values.hub.enabled -}}{{- $parts = append $parts "hub" -}}{{- end -}}
{{- join "," $parts -}}
{{- end -}}
{{- end -}}
